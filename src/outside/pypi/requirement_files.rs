//! Reads requirements files and the files that they include, and finds the options that uv's parser ignores.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use fs_err as fs;
use uv_client::BaseClientBuilder;
use uv_configuration::{NoBinary, NoBuild, PackageNameSpecifier};
use uv_distribution_filename::{DistExtension, WheelFilename};
use uv_distribution_types::{
    IndexUrl, NameRequirementSpecification, Requirement, RequirementSource, UnresolvedRequirement,
    UnresolvedRequirementSpecification,
};
use uv_pep508::{MarkerTree, VerbatimUrl};
use uv_redacted::DisplaySafeUrl;
use uv_requirements::RequirementsSpecification;
use uv_requirements_txt::{RequirementsTxt, SourceCache};

use crate::formats::requirements_txt::{FileOption, prepare};
use crate::model::world_settings::Variables;
use crate::outside::pypi::Cause;

/// The texts of requirements files by path, in a form that uv's parser accepts.
#[derive(Debug)]
pub(super) struct RequirementFiles<'a> {
    variables: &'a Variables,
    texts: SourceCache,
    seen: BTreeSet<PathBuf>,
    options: Vec<(PathBuf, FileOption)>,
    odd_paths: Vec<UnresolvedRequirementSpecification>,
}

impl<'a> RequirementFiles<'a> {
    pub(super) fn new(variables: &'a Variables) -> Self {
        Self {
            variables,
            texts: SourceCache::default(),
            seen: BTreeSet::new(),
            options: Vec::new(),
            odd_paths: Vec::new(),
        }
    }

    /// Reads `path` like uv. `is_constraints` means that all requirements in the file only limit versions.
    pub(super) async fn read(
        &mut self,
        path: &Path,
        is_constraints: bool,
        base: &BaseClientBuilder<'_>,
    ) -> Result<RequirementsSpecification, Cause> {
        self.prepare(path)?;
        let current = std::env::current_dir()?;
        let read = RequirementsTxt::parse_with_cache(path, current, base, &mut self.texts).await?;
        let mut read = requirements(read);
        read.requirements.append(&mut self.odd_paths);
        if is_constraints { limits(read) } else { Ok(read) }
    }

    /// Returns whether a file allows pre-release versions (`--pre`).
    pub(super) fn allows_prereleases(&self) -> bool {
        self.options.iter().any(|(_, option)| option.name == "--pre")
    }

    /// Returns which distributions must be built from source according to the files, and which must not be built. If
    /// options contradict each other, the last one applies, like in pip.
    pub(super) fn build_options(&self) -> Result<(NoBinary, NoBuild), Cause> {
        let (mut no_binary, mut no_build) = (NoBinary::None, NoBuild::None);
        for (_, FileOption { name, value, .. }) in &self.options {
            if !matches!(name.as_str(), "--no-binary" | "--only-binary") {
                continue;
            }
            let names = value.split(',').map(|name| name.trim().parse()).collect::<Result<Vec<_>, _>>();
            let names: Vec<PackageNameSpecifier> = names.map_err(|error| format!("`{name} {value}`: {error}"))?;
            match name.as_str() {
                "--no-binary" => no_binary = no_binary.combine(NoBinary::from_pip_args(names)),
                _ => no_build = no_build.combine(NoBuild::from_pip_args(names, false)),
            }
        }
        Ok((no_binary, no_build))
    }

    /// Returns a sentence for each option that lath ignores.
    pub(super) fn warnings(&self) -> Vec<String> {
        let sentence = |(path, FileOption { line, name, value }): &(PathBuf, FileOption)| {
            let reason = match name.as_str() {
                // `--prefer-binary` is not needed, because versions with a wheel are preferred anyway. The other
                // options are applied.
                "--prefer-binary" | "--pre" | "--only-binary" | "--no-binary" => return None,
                "--trusted-host" => "lath always checks certificates",
                "--use-feature" => "it is a feature of pip",
                _ => "it only affects builds from source",
            };
            let option = [name.as_str(), value].join(" ");
            Some(format!("`{}` has no effect ({}, line {line}): {reason}", option.trim_end(), path.display()))
        };
        self.options.iter().filter_map(sentence).collect()
    }

    /// Reads a file on disk and all files that it includes. Files on servers and missing files are skipped here.
    /// Later, uv reads the files on servers, and reports the missing files.
    fn prepare(&mut self, path: &Path) -> Result<(), Cause> {
        if is_url(path) || !self.seen.insert(path.to_owned()) {
            return Ok(());
        }
        let Ok(bytes) = fs::read(path) else { return Ok(()) };
        let prepared = prepare(&bytes, |name| self.variables.0.get(name).cloned(), is_odd_path);
        let prepared = prepared.map_err(|error| format!("the file `{}` cannot be read: {error}", path.display()))?;
        self.options.extend(prepared.options.into_iter().map(|option| (path.to_owned(), option)));
        self.texts.insert(path.to_owned(), prepared.text);
        self.odd_paths.extend(prepared.odd_paths.iter().filter_map(|path| by_odd_path(path)));
        let folder = path.parent().unwrap_or(Path::new(""));
        for include in prepared.includes {
            self.prepare(&folder.join(include))?;
        }
        Ok(())
    }
}

/// Returns whether `text` is a path that uv would misread. In a URL, `#` begins the fragment, and `%` begins an escape
/// sequence.
fn is_odd_path(text: &str) -> bool {
    text.contains(['#', '%']) && Path::new(text).is_file()
}

/// Returns the requirement for the wheel at `path`. Returns `None` if uv can read this path itself, or if it is not the
/// path of a wheel.
pub(super) fn by_odd_path(path: &str) -> Option<UnresolvedRequirementSpecification> {
    let wheel: WheelFilename = Path::new(path).file_name()?.to_str()?.parse().ok()?;
    let absolute = is_odd_path(path).then(|| std::path::absolute(path).ok()).flatten()?;
    let url = VerbatimUrl::from_url(DisplaySafeUrl::from_file_path(&absolute).ok()?).with_given(path);
    let requirement = Requirement {
        name: wheel.name,
        extras: Box::default(),
        groups: Box::default(),
        marker: MarkerTree::default(),
        source: RequirementSource::Path { install_path: absolute.into(), ext: DistExtension::Wheel, url },
        origin: None,
    };
    Some(UnresolvedRequirementSpecification::from(requirement))
}

fn is_url(path: &Path) -> bool {
    ["http://", "https://", "file://"].iter().any(|scheme| path.to_string_lossy().starts_with(scheme))
}

fn requirements(file: RequirementsTxt) -> RequirementsSpecification {
    let entries = file.requirements.into_iter().chain(file.editables);
    RequirementsSpecification {
        requirements: entries.map(UnresolvedRequirementSpecification::from).collect(),
        constraints: file.constraints.into_iter().map(limit).collect(),
        index_url: file.index_url.map(IndexUrl::from),
        extra_index_urls: file.extra_index_urls.into_iter().map(IndexUrl::from).collect(),
        no_index: file.no_index,
        find_links: file.find_links.into_iter().map(IndexUrl::from).collect(),
        no_binary: file.no_binary,
        no_build: file.only_binary,
        require_hashes: file.require_hashes,
        ..RequirementsSpecification::default()
    }
}

/// Converts every requirement to a limit.
fn limits(mut specification: RequirementsSpecification) -> Result<RequirementsSpecification, Cause> {
    for entry in std::mem::take(&mut specification.requirements) {
        match entry.requirement {
            UnresolvedRequirement::Named(requirement) => {
                specification.constraints.push(NameRequirementSpecification { requirement, hashes: entry.hashes });
            }
            UnresolvedRequirement::Unnamed(unnamed) => {
                return Err(format!("`{unnamed}` has no name, so it cannot limit a version").into());
            }
        }
    }
    Ok(specification)
}

fn limit(requirement: uv_pep508::Requirement<uv_pypi_types::VerbatimParsedUrl>) -> NameRequirementSpecification {
    NameRequirementSpecification::from(Requirement::from(requirement))
}

/// Adds `other` to `all`. It is an error if there are two different default indexes, because only one could be used.
pub(super) fn merge(all: &mut RequirementsSpecification, other: RequirementsSpecification) -> Result<(), Cause> {
    if let (Some(one), Some(two)) = (&all.index_url, &other.index_url)
        && one != two
    {
        return Err("the files name different indexes with `--index-url`".into());
    }
    all.requirements.extend(other.requirements);
    all.constraints.extend(other.constraints);
    all.index_url = all.index_url.take().or(other.index_url);
    all.extra_index_urls.extend(other.extra_index_urls);
    all.find_links.extend(other.find_links);
    all.no_index |= other.no_index;
    all.require_hashes |= other.require_hashes;
    all.no_binary.extend(other.no_binary);
    all.no_build.extend(other.no_build);
    Ok(())
}
