//! The tables of Poetry and PDM in `pyproject.toml`. They contain requirements, groups and indexes that uv does not
//! read.

use fs_err as fs;
use uv_distribution_types::{Requirement, RequirementSource};

use super::{Chosen, parsed, unreadable};
use crate::formats::pyproject::Pyproject;
use crate::formats::pyproject::poetry::{PoetryDependency, PoetryPlace};
use crate::model::distribution_name::normalised;
use crate::model::indexes::IndexEntry;
use crate::model::project::{Extras, ProjectRequest};
use crate::outside::pypi::indexes::assigned;
use crate::outside::pypi::{Cause, PypiError};

/// The `pyproject.toml` of a project, as Poetry and PDM read it.
pub(super) struct Tables<'a> {
    request: &'a ProjectRequest,
    toml: Pyproject,
}

/// The places of dependencies that a standard table names without them.
#[derive(Default)]
pub(super) struct Places {
    pub(super) constraints: Vec<Requirement>,
    /// Requirements that replace others of the same name.
    pub(super) replacements: Vec<Requirement>,
}

impl<'a> Tables<'a> {
    /// Reads the `pyproject.toml` of a project. Without this file, there are no tables.
    pub(super) fn read(request: &'a ProjectRequest) -> Result<Self, PypiError> {
        let failed = unreadable(&request.folder);
        let path = request.folder.join("pyproject.toml");
        let text = if path.is_file() {
            fs::read_to_string(&path).map_err(|error| failed(error.into()))?
        } else {
            String::new()
        };
        let toml = Pyproject::parse(&text).map_err(|error| failed(error.into()))?;
        Ok(Self { request, toml })
    }

    /// Returns the normalised name of the project.
    pub(super) fn name(&self) -> Option<String> {
        self.toml.name.as_deref().map(normalised)
    }

    /// Returns the normalised names of the groups.
    pub(super) fn groups(&self) -> Vec<String> {
        // Poetry calls the dependencies that are in no group `main`.
        let main = Some("main".to_owned()).filter(|_| !self.toml.poetry.main.is_empty());
        self.toml.poetry.groups.keys().chain(self.toml.pdm_groups.keys()).cloned().chain(main).collect()
    }

    /// Returns the indexes in the order in which they are searched.
    pub(super) fn indexes(&self) -> impl Iterator<Item = &IndexEntry> {
        self.toml.poetry.sources.iter().chain(&self.toml.pdm_sources)
    }

    /// Returns the extras that are installed if only the tables of Poetry list the extras. Otherwise returns `None`.
    pub(super) fn extras(&self) -> Result<Option<Vec<String>>, Cause> {
        if !self.toml.is_of_poetry {
            return Ok(None);
        }
        let known: Vec<String> = self.toml.poetry.extras.keys().cloned().collect();
        let Extras::Named(names) = &self.request.extras else { return Ok(Some(known)) };
        let names = names.iter().map(|name| normalised(name));
        Chosen { what: "extra", known: &known }.of(names).map(Some)
    }

    /// Returns the requirements that are installed in addition to the project itself. These are the groups that the
    /// user named, and also the main dependencies if the project is not a package and only Poetry's tables list them.
    pub(super) fn requirements(&self, has_lock: bool) -> Result<Vec<Requirement>, Cause> {
        let mut found = Vec::new();
        if let Some(extras) = self.extras()?.filter(|_| !self.request.is_package) {
            found.extend(self.toml.poetry.main_with(&extras));
        }
        let names = self.request.groups.iter().map(|name| normalised(name)).collect::<Vec<_>>();
        found.extend(names.iter().filter_map(|name| self.toml.poetry.of_group(name)).flatten());
        let of_poetry = found.into_iter().map(|dependency| self.requirement(dependency, has_lock));
        let of_pdm = names.iter().filter_map(|name| self.toml.pdm_groups.get(name)).flatten().map(|text| parsed(text));
        of_poetry.chain(of_pdm).collect()
    }

    /// Returns the paths, URLs and indexes of the main dependencies. They are needed if there is no lock: The metadata
    /// of a package that Poetry builds has no indexes, and its paths are those of the build. Besides, the table
    /// `[project]` may contain the name of a dependency, and Poetry's table its place.
    pub(super) fn places(&self) -> Result<Places, Cause> {
        let mut places = Places::default();
        let main = &self.toml.poetry.main;
        let has_place = |one: &PoetryDependency| matches!(one.place, PoetryPlace::Url(_) | PoetryPlace::Path(_));
        for dependency in main {
            let requirement = || self.requirement(dependency, true);
            // A replacement replaces all requirements of its name. So if a dependency has several entries, such as one
            // for each processor, all of them are replacements.
            let is_replacement = main.iter().any(|other| other.name == dependency.name && has_place(other));
            match (is_replacement, &dependency.index) {
                (true, _) => places.replacements.push(requirement()?),
                (false, Some(_)) => places.constraints.push(with_some_version(requirement()?)?),
                (false, None) => {}
            }
        }
        Ok(places)
    }

    /// Returns the dependencies of this name.
    pub(super) fn named<'b>(&'b self, name: &'b str) -> impl Iterator<Item = &'b PoetryDependency> {
        let groups = self.toml.poetry.groups.keys().filter_map(|name| self.toml.poetry.of_group(name)).flatten();
        self.toml.poetry.main.iter().chain(groups).filter(move |dependency| dependency.name == name)
    }

    /// Converts a dependency of Poetry. If there is a lock, it limits the versions more than the dependency does, so a
    /// constraint that PEP 440 cannot express is left out.
    fn requirement(&self, dependency: &PoetryDependency, has_lock: bool) -> Result<Requirement, Cause> {
        let PoetryDependency { name, extras, place, index, marker, .. } = dependency;
        let source = match place {
            PoetryPlace::Index(version) => version.clone(),
            PoetryPlace::Unclear(_) if has_lock => String::new(),
            PoetryPlace::Unclear(written) => {
                return Err(format!(
                    "lath cannot convert the constraint `{written}` of its dependency `{name}` to a standard one \
                     (PEP 440): write a `poetry.lock` with `poetry lock`, or a constraint without gaps"
                )
                .into());
            }
            PoetryPlace::Url(url) => format!(" @ {url}"),
            PoetryPlace::Path(path) => super::url_of_path(&self.request.folder, path)?,
        };
        let extras = if extras.is_empty() { String::new() } else { format!("[{}]", extras.join(",")) };
        let marker = marker.as_ref().map(|marker| format!(" ; {marker}")).unwrap_or_default();
        let requirement = parsed(&format!("{name}{extras}{source}{marker}"))?;
        let Some(index) = index.as_ref().filter(|index| !index.eq_ignore_ascii_case("pypi")) else {
            return Ok(requirement);
        };
        let known = self
            .toml
            .poetry
            .sources
            .iter()
            .find(|source| source.name.as_ref().is_some_and(|name| name.eq_ignore_ascii_case(index)));
        let known = known
            .ok_or_else(|| format!("its dependency `{name}` names the source `{index}`, which it does not define"))?;
        assigned(requirement, known.url.exposed())
    }
}

/// Adds a constraint to a requirement without one, because uv ignores the index of such a limit.
fn with_some_version(mut requirement: Requirement) -> Result<Requirement, Cause> {
    if let RequirementSource::Registry { specifier, .. } = &mut requirement.source
        && specifier.is_empty()
    {
        *specifier = ">=0".parse()?;
    }
    Ok(requirement)
}
