//! Finds wheels and sources that are named by path or URL in requirements. The requirements of these wheels and sources
//! are searched in the same way. This happens before uv resolves, because uv accepts only URLs that it knows before it
//! begins.
//!
//! All requirements of a wheel or source are checked before any of the distributions that they name is fetched.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _};
use uv_distribution::Metadata;
use uv_distribution_types::{Dist, Identifier as _, Requirement, RequirementSource};
use uv_normalize::ExtraName;
use uv_resolver::MetadataResponse;
use uv_types::{HashStrategy, RequestedRequirements};

use crate::model::secret_text::public;
use crate::outside::pypi::newer::newest_accepted;
use crate::outside::pypi::requirements::{Source, refuse_source};
use crate::outside::pypi::{Cause, Limits, PypiError, REQUESTS, Resolve, redacted};

/// The maximum number of distributions that are named by path or URL. Without a limit, a server could send wheels that
/// name further wheels without end.
const MAX_WHEELS: usize = 1000;

/// A requirement, and the distribution that contains it, or `None` if the user wrote it.
type Asked = (Requirement, Option<Requiring>);

/// A distribution that requires another one.
#[derive(Clone)]
struct Requiring {
    wheel: String,
    trust: Trust,
}

/// How much the author of a distribution is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trust {
    /// The distribution is a project of the user, so it may require repositories and files on this machine.
    Own,
    /// The distribution is a file on this machine, so it may require other files.
    Local,
    Foreign,
}

impl Resolve<'_> {
    /// Returns `requirements`, and the requirements of all wheels that are named by path or URL. Also returns the
    /// hashes, including those in the URLs. As in uv, `limits` may replace or exclude requirements, or add URLs to them.
    pub(super) async fn lookahead(
        &self,
        requirements: &[Requirement],
        limits: &Limits,
        mut hasher: HashStrategy,
    ) -> Result<(Vec<RequestedRequirements>, HashStrategy), PypiError> {
        let Limits { constraints, overrides, excludes } = limits;
        let markers = &self.target.markers;
        let is_wanted = |requirement: &Requirement, extras: &[ExtraName]| {
            !excludes.contains(&requirement.name) && requirement.evaluate_markers(Some(markers), extras)
        };
        let applied = constraints.apply(overrides.apply(requirements));
        let mut queue: Vec<Asked> = applied
            .filter(|requirement| is_wanted(requirement, &[]))
            .map(|requirement| (requirement.into_owned(), None))
            .collect();
        let (mut found, mut seen) = (Vec::new(), BTreeSet::new());
        while !queue.is_empty() {
            let mut wheels = Vec::new();
            for (requirement, requiring) in queue.drain(..) {
                refuse(&requirement, requiring.as_ref())?;
                let dist = dist_of(&requirement).map_err(|error| unreadable(&requirement, error.into()))?;
                if let Some(dist) = dist.filter(|_| seen.insert(requirement.clone())) {
                    wheels.push((requirement, dist));
                }
            }
            if seen.len() > MAX_WHEELS {
                return Err(PypiError::TooManyWheels { max: MAX_WHEELS });
            }
            let read = futures::stream::iter(wheels).map(|(requirement, dist)| self.requested_by(requirement, dist));
            let read: Vec<(RequestedRequirements, Trust)> = read.buffered(REQUESTS).try_collect().await?;
            for (requested, trust) in read {
                let hashes = hasher.augment_with_requirements(requested.requirements().iter());
                hasher = hashes.map_err(|error| PypiError::Hashes(redacted(error.into())))?;
                let wheel = format!("{} {}", requested.package(), requested.version());
                let own = requested.requirements();
                let applied = constraints.apply(overrides.apply_for(requested.package(), requested.version(), own));
                let needed = applied.filter(|requirement| is_wanted(requirement, requested.extras()));
                queue.extend(needed.map(|requirement| {
                    // A requirement that is not in the wheel comes from the user.
                    let is_named = !requested.requirements().contains(&requirement);
                    // If the wheel requires itself with extras, the URL is that of the requirement for the wheel.
                    let is_named = is_named || requirement.name == *requested.package();
                    let trust = if is_named { Trust::Own } else { trust };
                    (requirement.into_owned(), Some(Requiring { wheel: wheel.clone(), trust }))
                }));
                found.push(requested);
            }
        }
        Ok((found, hasher))
    }

    /// Returns the requirements of `dist`, and how much its author is trusted. `requirement` is the requirement that
    /// names `dist` by path or URL. Keeps the metadata of `dist` in memory, where uv finds it later.
    async fn requested_by(
        &self,
        requirement: Requirement,
        dist: Dist,
    ) -> Result<(RequestedRequirements, Trust), PypiError> {
        let not_a_wheel = || PypiError::NotAWheel { distribution: public(&dist.to_string()) };
        let archive = match &dist {
            Dist::Source(source) => self.metadata.sources.of(source).await.map_err(PypiError::Build)?,
            Dist::Built(_) => {
                let read = self.metadata.of(&dist).await.ok_or_else(not_a_wheel)?;
                read.map_err(|error| unreadable(&requirement, error.into()))?
            }
        };
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
        // If a wheel requires itself with extras, this requirement refers to the same file.
        let itself = |needed: Requirement| match needed.name == requirement.name {
            true => Requirement { source: requirement.source.clone(), ..needed },
            false => needed,
        };
        let needed = Box::into_iter(requires_dist).map(itself).collect();
        let trust = match requirement.source {
            RequirementSource::Directory { .. } => Trust::Own,
            RequirementSource::Path { .. } => Trust::Local,
            _ => Trust::Foreign,
        };
        Ok((RequestedRequirements::new(name, version, requirement.extras.clone(), needed, false), trust))
    }
}

/// Refuses a requirement that cannot be used. If a distribution comes from the network, it must not require files or
/// folders on this machine, because its author must not decide which files are read here. The distribution must not
/// require repositories either, because fetching a repository starts a program on this machine.
fn refuse(requirement: &Requirement, requiring: Option<&Requiring>) -> Result<(), PypiError> {
    let Some(Requiring { wheel, trust }) = requiring else {
        return refuse_source(&requirement.to_string(), &requirement.source);
    };
    let wheel = wheel.clone();
    let shown = public(&requirement.to_string());
    let written = requirement.source.to_verbatim_parsed_url();
    if let Some(variable) = written.and_then(|url| variable_in(url.verbatim.given()?)).filter(|_| *trust != Trust::Own)
    {
        return Err(PypiError::RequiresVariable { wheel, variable });
    }
    match &requirement.source {
        RequirementSource::Path { .. } | RequirementSource::Directory { .. } if *trust == Trust::Foreign => {
            return Err(PypiError::RequiresLocal { wheel, requirement: shown });
        }
        RequirementSource::GitDirectory { .. } if *trust != Trust::Own => {
            return Err(PypiError::RequiresSource { wheel, requirement: shown, what: Source::Repository });
        }
        _ => {}
    }
    match refuse_source(&requirement.to_string(), &requirement.source) {
        Err(PypiError::FromSource { requirement, what }) => Err(PypiError::RequiresSource { wheel, requirement, what }),
        outcome => outcome,
    }
}

/// Returns the name of the variable in a URL, such as `TOKEN` in `https://host/${TOKEN}/x.whl`. uv has replaced it by its
/// value, but `url` is the text before that.
fn variable_in(url: &str) -> Option<String> {
    let (name, _) = url.split_once("${")?.1.split_once('}')?;
    Some(name.to_owned())
}

/// Returns the distribution that `requirement` names by path or URL, or `None` if it comes from an index.
fn dist_of(requirement: &Requirement) -> Result<Option<Dist>, uv_distribution_types::Error> {
    let url = requirement.source.to_verbatim_parsed_url();
    url.map(|url| Dist::from_url(requirement.name.clone(), url)).transpose()
}

fn unreadable(requirement: &Requirement, error: Cause) -> PypiError {
    PypiError::Requirement { requirement: public(&requirement.to_string()), source: redacted(error) }
}
