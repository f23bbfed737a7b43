//! Wheels that requirements name by path or URL, and the wheels that these name in the same way. Their URLs must be
//! known before uv resolves, because it accepts a URL only if it has seen it before.
//!
//! All requirements of such a wheel are checked before any of them is fetched.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _};
use uv_configuration::Constraints;
use uv_distribution::Metadata;
use uv_distribution_filename::DistExtension;
use uv_distribution_types::{Dist, Identifier as _, Requirement, RequirementSource};
use uv_resolver::MetadataResponse;
use uv_types::{HashStrategy, RequestedRequirements};

use crate::model::secret_text::public;
use crate::outside::pypi::newer::newest_accepted;
use crate::outside::pypi::requirements::refuse_source;
use crate::outside::pypi::{Cause, PypiError, REQUESTS, Resolve, redacted};

/// At most this many wheels may name one another by path or URL. Otherwise a server could continue for ever.
const MAX_WHEELS: usize = 1000;

/// A requirement, and the wheel that contains it, or `None` if the user wrote it.
type Asked = (Requirement, Option<Requiring>);

/// A wheel that requires another one.
#[derive(Clone)]
struct Requiring {
    wheel: String,
    /// Whether the wheel itself is a file on this machine. Only such a wheel may require files.
    is_local: bool,
}

impl Resolve<'_> {
    /// Returns the requirements of all wheels that are named by path or URL, starting with `requirements`. Also returns
    /// the hashes, together with those in the URLs.
    pub(super) async fn lookahead(
        &self,
        requirements: &[Requirement],
        constraints: &Constraints,
        mut hasher: HashStrategy,
    ) -> Result<(Vec<RequestedRequirements>, HashStrategy), PypiError> {
        let applied = constraints.apply(requirements.iter().map(Cow::Borrowed));
        let markers = &self.target.markers;
        let mut queue: Vec<Asked> = applied
            .filter(|requirement| requirement.evaluate_markers(Some(markers), &[]))
            .map(|requirement| (requirement.into_owned(), None))
            .collect();
        let (mut found, mut seen) = (Vec::new(), BTreeSet::new());
        while !queue.is_empty() {
            let mut wheels = Vec::new();
            for (requirement, requiring) in queue.drain(..) {
                refuse(&requirement, requiring.as_ref())?;
                let dist = wheel_of(&requirement).map_err(|error| unreadable(&requirement, error.into()))?;
                if let Some(dist) = dist.filter(|_| seen.insert(requirement.clone())) {
                    wheels.push((requirement, dist));
                }
            }
            if seen.len() > MAX_WHEELS {
                return Err(PypiError::TooManyWheels { max: MAX_WHEELS });
            }
            let read = futures::stream::iter(wheels).map(|(requirement, dist)| self.requested_by(requirement, dist));
            let read: Vec<(RequestedRequirements, bool)> = read.buffered(REQUESTS).try_collect().await?;
            for (requested, is_local) in read {
                let hashes = hasher.augment_with_requirements(requested.requirements().iter());
                hasher = hashes.map_err(|error| PypiError::Hashes(redacted(error.into())))?;
                let wheel = format!("{} {}", requested.package(), requested.version());
                let applied = constraints.apply(requested.requirements().iter().map(Cow::Borrowed));
                let needed =
                    applied.filter(|requirement| requirement.evaluate_markers(Some(markers), requested.extras()));
                queue.extend(needed.map(|requirement| {
                    // If the wheel does not contain this requirement, it comes from the user's constraints.
                    let is_local = is_local || !requested.requirements().contains(&requirement);
                    (requirement.into_owned(), Some(Requiring { wheel: wheel.clone(), is_local }))
                }));
                found.push(requested);
            }
        }
        Ok((found, hasher))
    }

    /// Returns the requirements of the wheel `dist`, which `requirement` names, and whether it is a file on this
    /// machine. From then on uv finds its metadata in memory.
    async fn requested_by(
        &self,
        requirement: Requirement,
        dist: Dist,
    ) -> Result<(RequestedRequirements, bool), PypiError> {
        let not_a_wheel = || PypiError::NotAWheel { distribution: public(&dist.to_string()) };
        let read = self.metadata.of(&dist).await.ok_or_else(not_a_wheel)?;
        let archive = read.map_err(|error| unreadable(&requirement, error.into()))?;
        let Metadata { name, version, requires_dist, requires_python, .. } = archive.metadata.clone();
        if let Some(pythons) = requires_python.filter(|pythons| self.metadata.excludes(pythons)) {
            return Err(PypiError::OtherPython {
                wheel: format!("{name} {version}"),
                name: name.to_string(),
                python: self.target.python().to_string(),
                other: newest_accepted(&pythons, |_| true),
                pythons: pythons.to_string(),
            });
        }
        let answer = Arc::new(MetadataResponse::Found(archive));
        self.in_memory.distributions().done(dist.distribution_id(), answer);
        // If a wheel requires itself with extras, it means this same file.
        let itself = |needed: Requirement| match needed.name == requirement.name {
            true => Requirement { source: requirement.source.clone(), ..needed },
            false => needed,
        };
        let needed = Box::into_iter(requires_dist).map(itself).collect();
        let is_local = matches!(requirement.source, RequirementSource::Path { .. });
        Ok((RequestedRequirements::new(name, version, requirement.extras.clone(), needed, false), is_local))
    }
}

/// Refuses a requirement that would have to be built. If a wheel contains it, it must not even be fetched. Also refuses
/// a file on this machine if a wheel from elsewhere requires it, because its author must not decide which files are
/// read here.
fn refuse(requirement: &Requirement, requiring: Option<&Requiring>) -> Result<(), PypiError> {
    let Some(Requiring { wheel, is_local }) = requiring else {
        return refuse_source(&requirement.to_string(), &requirement.source);
    };
    let wheel = wheel.clone();
    if let RequirementSource::Path { ext: DistExtension::Wheel, .. } = &requirement.source
        && !is_local
    {
        return Err(PypiError::RequiresLocal { wheel, requirement: public(&requirement.to_string()) });
    }
    match refuse_source(&requirement.to_string(), &requirement.source) {
        Err(PypiError::FromSource { requirement, what }) => Err(PypiError::RequiresSource { wheel, requirement, what }),
        outcome => outcome,
    }
}

/// Returns the wheel that `requirement` names by path or URL, or `None` if it comes from an index.
fn wheel_of(requirement: &Requirement) -> Result<Option<Dist>, uv_distribution_types::Error> {
    let name = requirement.name.clone();
    let dist = match &requirement.source {
        RequirementSource::Path { install_path, ext, url } => {
            Dist::from_file_url(name, url.clone(), install_path, *ext)
        }
        RequirementSource::Url { subdirectory, location, ext, url } => {
            Dist::from_http_url(name, url.clone(), location.clone(), subdirectory.clone(), *ext)
        }
        _ => return Ok(None),
    };
    dist.map(Some)
}

fn unreadable(requirement: &Requirement, error: Cause) -> PypiError {
    PypiError::Requirement { requirement: public(&requirement.to_string()), source: redacted(error) }
}
