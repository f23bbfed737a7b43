//! Adds the Python, the release and the user of the base images to a request. Refuses an image on which the request
//! cannot be built, before any package is fetched.

mod access;

use std::sync::Arc;

use thiserror::Error;

use crate::catalog::releases;
use crate::model::base_image::{BaseImage, Interpreter};
use crate::model::hint::{BaseHint, Hint, Hints};
use crate::model::image_path::ImagePath;
use crate::model::platform::{Platform, PythonVersion};
use crate::model::python_home::PythonHome;
use crate::model::request::{BaseImageRequest, LayersRequest, OnBase, ReleaseRequest, Request};
use crate::model::user_base::UserBase;

/// The maximum number of layers of an image. Docker has the same limit, because overlay mounts accept no more.
pub(crate) const MAX_LAYERS: usize = LayersRequest::MAX;

#[derive(Debug, Error)]
pub(crate) enum OnBaseError {
    #[error(
        "cannot build on `{base}`: it has no Python, and lath can only add one to images of Debian and Ubuntu, and this one is {distribution}"
    )]
    NoPython { base: String, distribution: String },
    #[error("cannot build on `{base}` for python {wanted}: it has python {found}")]
    OtherPython { base: String, wanted: PythonVersion, found: String },
    #[error("cannot build on `{base}`: it has python {found}, and the input requires python {wanted}")]
    NotAllowed { base: String, wanted: String, found: PythonVersion },
    #[error("cannot build on `{base}`: {first} has {of_first}, and {other} has {of_other}")]
    Different { base: String, first: Platform, of_first: String, other: Platform, of_other: String },
    #[error("cannot build on `{base}`: it has python {found}, and no C library that programs could load")]
    NoLibc { base: String, found: PythonVersion },
    #[error("cannot build on `{base}`: it is of {found}, and the request is for {wanted}")]
    OtherRelease { base: String, wanted: String, found: String },
    #[error("cannot build on `{base}`: it starts as the user `{user}`, who is not in its `/etc/passwd`")]
    UnknownUser { base: String, user: String },
    #[error(
        "cannot build on `{base}`: the image runs as the user {user}, who cannot use its Python `{program}`, because `{path}` has the mode {mode:04o} and belongs to the user {owner}"
    )]
    NoAccess { base: String, user: String, program: String, path: ImagePath, mode: u32, owner: u32 },
    #[error("cannot build on `{base}`: it has {found} layers, and an image can have at most {MAX_LAYERS}")]
    TooManyLayers { base: String, found: usize },
}

impl Hints for OnBaseError {
    fn own_hints(&self) -> Vec<Hint> {
        match self {
            Self::NoPython { .. } => vec![Hint::Base(BaseHint::WithPython)],
            Self::OtherPython { .. } => vec![Hint::Base(BaseHint::OwnPython)],
            Self::UnknownUser { .. } => vec![Hint::Base(BaseHint::NameUser)],
            Self::NoAccess { owner, .. } => vec![Hint::Base(BaseHint::RunAs { user: *owner })],
            _ => Vec::new(),
        }
    }
}

/// Returns the request for `images`: the base images of its platforms, in the order of the platforms. The function
/// `allows` returns whether a version specifier (PEP 440) allows a Python.
pub(crate) fn on_base(
    request: &Request,
    images: Vec<BaseImage>,
    allows: impl Fn(&str, PythonVersion) -> bool,
) -> Result<Request, OnBaseError> {
    let Some(wanted) = &request.base_image else { return Ok(request.clone()) };
    let images = images.into_iter().map(|image| Arc::new(for_user_base(image, &request.user_base)));
    let wanted = BaseImageRequest { images: images.collect(), ..wanted.clone() };
    let mut request = Request { base_image: Some(wanted.clone()), ..request.clone() };
    let bases: Vec<OnBase<'_>> = wanted.images.iter().map(|image| OnBase { image, request: &wanted }).collect();
    let Some((first, others)) = bases.split_first() else { return Ok(request) };
    let ground = Ground::of(*first)?;
    for other in others {
        refuse_different(&ground, *first, *other)?;
    }
    if let Some(user) = user(*first)? {
        request.runtime.user = user;
    }
    set_release(&mut request, &ground, &wanted)?;
    match ground.interpreter {
        Some(interpreter) => {
            if first.image.found.libc.is_none() {
                return Err(OnBaseError::NoLibc { base: wanted.source.to_string(), found: interpreter.version });
            }
            request.python.version = interpreter.version;
            request.python.is_expected = false;
            request.python.home = home(interpreter);
            bases.iter().try_for_each(|base| refuse_without_access(*base, &request))?;
        }
        None => {
            let release = releases::find(request.release.distribution, &request.release.suite);
            request.python.version =
                wanted.python.or(release.map(|release| release.python)).unwrap_or(request.python.version);
            // If the release is not published yet, the version of its Python is read from its archive later, and may
            // differ from the version here.
            request.python.is_expected =
                wanted.python.is_none() && release.is_none_or(|release| release.number.is_none());
        }
    }
    let found = request.python.version;
    match wanted.requires_python.clone().filter(|specifiers| !allows(specifiers, found)) {
        Some(specifiers) => Err(OnBaseError::NotAllowed { base: wanted.source.to_string(), wanted: specifiers, found }),
        None => Ok(request),
    }
}

/// Removes from the facts the distributions in the user site of the base image, because the new image has another user
/// site and cannot import them. They stay if both have the same user site, for example if lath made the base image.
fn for_user_base(mut image: BaseImage, user_base: &UserBase) -> BaseImage {
    for interpreter in &mut image.found.interpreters {
        let new = image.tree.find(&user_base.site(interpreter.version)).map(|(path, _)| path);
        let Some(old) = interpreter.user_site.take_if(|old| Some(&*old) != new.as_ref()) else { continue };
        interpreter.site_packages.retain(|folder| *folder != old);
        interpreter.distributions.retain(|distribution| distribution.folder != old);
    }
    image
}

/// The facts about a base image that decide which wheels and packages fit: its Python and its release.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Ground<'a> {
    /// The Python of the base image, with which the program runs. `None` if lath adds the Python of the release.
    interpreter: Option<&'a Interpreter>,
    release: Option<String>,
}

impl<'a> Ground<'a> {
    fn of(base: OnBase<'a>) -> Result<Self, OnBaseError> {
        let (image, source) = (base.image, || base.request.source.to_string());
        let release = base.release().map(|(distribution, suite)| format!("{distribution}:{suite}"));
        if image.layers.len() >= MAX_LAYERS {
            return Err(OnBaseError::TooManyLayers { base: source(), found: image.layers.len() });
        }
        let interpreters = &image.found.interpreters;
        let default = image.found.default_interpreter().or(interpreters.first());
        let interpreter = match base.request.python {
            None => default,
            Some(wanted) => {
                let named = default.filter(|one| one.version == wanted);
                named.or_else(|| interpreters.iter().find(|one| one.version == wanted))
            }
        };
        match (interpreter, default, base.request.python) {
            (None, Some(_), Some(wanted)) => {
                let versions: Vec<String> = interpreters.iter().map(|one| one.version.to_string()).collect();
                return Err(OnBaseError::OtherPython { base: source(), wanted, found: versions.join(" and ") });
            }
            (None, None, _) if release.is_none() => {
                return Err(OnBaseError::NoPython { base: source(), distribution: base.shown() });
            }
            _ => {}
        }
        Ok(Self { interpreter, release })
    }

    fn shown(&self) -> String {
        let release = self.release.as_deref().unwrap_or("another distribution");
        match self.interpreter {
            Some(one) => format!("python {} at `{}` of {release}", one.version, one.start()),
            None => format!("no Python and is of {release}"),
        }
    }
}

impl OnBase<'_> {
    /// Returns the name of the distribution, for messages.
    fn shown(self) -> String {
        let distribution = self.image.found.distribution.as_ref();
        let name = distribution.map(|found| found.pretty_name.clone().unwrap_or_else(|| found.id.clone()));
        name.unwrap_or_else(|| "none that lath recognizes".to_owned())
    }
}

/// Refuses base images with different Pythons or releases, because an image starts the same program on all platforms.
fn refuse_different(ground: &Ground<'_>, first: OnBase<'_>, other: OnBase<'_>) -> Result<(), OnBaseError> {
    let own = Ground::of(other)?;
    let start = |ground: &Ground<'_>| ground.interpreter.map(|one| (one.version, one.start().clone()));
    if start(ground) == start(&own) && ground.release == own.release {
        return Ok(());
    }
    Err(OnBaseError::Different {
        base: first.request.source.to_string(),
        first: first.image.platform,
        of_first: ground.shown(),
        other: other.image.platform,
        of_other: own.shown(),
    })
}

/// Returns the user of the base image. `None` if the user is root, or if the user of lath requested another user.
fn user(base: OnBase<'_>) -> Result<Option<String>, OnBaseError> {
    let user = &base.image.found.user;
    if base.request.has_user || user.text.is_empty() {
        return Ok(None);
    }
    match (user.uid, user.gid) {
        (None, _) => Err(OnBaseError::UnknownUser { base: base.request.source.to_string(), user: user.text.clone() }),
        (Some(0), _) => Ok(None),
        (Some(uid), Some(gid)) => Ok(Some(format!("{uid}:{gid}"))),
        (Some(uid), None) => Ok(Some(uid.to_string())),
    }
}

/// Refuses a Python that the user of the image cannot start, for example because it is in the home directory of root.
fn refuse_without_access(base: OnBase<'_>, request: &Request) -> Result<(), OnBaseError> {
    let PythonHome::Image { program, stdlib, sites } = &request.python.home else { return Ok(()) };
    let paths = [program, stdlib].into_iter().chain(sites.first()).filter_map(|path| ImagePath::parse(path).ok());
    let tree = &base.image.tree;
    let obstacle = paths.into_iter().find_map(|path| access::obstacle(tree, &path, request.runtime.owner()));
    obstacle.map_or(Ok(()), |(path, node)| {
        Err(OnBaseError::NoAccess {
            base: base.request.source.to_string(),
            user: request.runtime.user.clone(),
            program: program.clone(),
            path,
            mode: node.mode,
            owner: node.owner,
        })
    })
}

/// Sets the release of the packages to the release of the image.
fn set_release(request: &mut Request, ground: &Ground<'_>, wanted: &BaseImageRequest) -> Result<(), OnBaseError> {
    let named = request.release.name();
    if wanted.has_release && ground.release.as_deref() != Some(named.as_str()) {
        let found = ground.release.clone().unwrap_or_else(|| "no release of Debian or Ubuntu".to_owned());
        return Err(OnBaseError::OtherRelease { base: wanted.source.to_string(), wanted: named, found });
    }
    let base = wanted.images.first().map(|image| OnBase { image, request: wanted });
    if let Some((distribution, suite)) = base.and_then(OnBase::release) {
        request.release = ReleaseRequest { distribution, suite, ..request.release.clone() };
    }
    Ok(())
}

fn home(interpreter: &Interpreter) -> PythonHome {
    // `site` reads path files only in the folders of the installation, not in the folders of `PYTHONPATH`.
    let root = interpreter.environment.as_ref().unwrap_or(&interpreter.prefix);
    let own = interpreter.site_packages.iter().filter(|folder| folder.is_within(root.as_str()));
    PythonHome::Image {
        program: interpreter.start().to_string(),
        stdlib: interpreter.stdlib.to_string(),
        sites: own.map(ToString::to_string).collect(),
    }
}
