//! The inputs of a request in the form in which locks contain them. The form does not depend on the folder of the
//! request.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::Semaphore;
use uv_client::RegistryClientBuilder;
use uv_distribution::DistributionDatabase;
use uv_distribution_types::{Requirement, RequirementSource, UnresolvedRequirement};
use uv_normalize::ExtraName;
use uv_pep508::UnnamedRequirement;
use uv_pypi_types::{ParsedUrl, VerbatimParsedUrl};
use uv_requirements::RequirementsSpecification;

use crate::model::all_indexes::AllIndexes;
use crate::model::digest::Digest;
use crate::model::request::PythonRequest;
use crate::model::secret_text::public;
use crate::outside::pypi::no_builds::NoBuilds;
use crate::outside::pypi::refusals::Refusals;
use crate::outside::pypi::{Pypi, PypiError, Question, indexes, on_own_stack, project, requirements};

/// The inputs of a request. They contain neither credentials nor the paths of files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Inputs {
    /// Requirements in the form of PEP 508, each with its hashes. If a wheel is named by path, only its file name is
    /// used.
    pub(crate) requirements: Vec<String>,
    pub(crate) constraints: Vec<String>,
    pub(crate) indexes: AllIndexes,
}

impl Pypi {
    /// Reads the inputs of `request`.
    pub(crate) fn inputs(&self, request: &PythonRequest) -> Result<Inputs, PypiError> {
        let read = async || {
            let refusals = Refusals::default();
            let base = self.base_client(&refusals)?;
            let Question { request, specification, own, locations, cache, build_options, .. } =
                self.read(request, &base).await?;
            let mut requirements = requirements(&specification)?;
            if own.project.is_some() || request.script.is_some() {
                let client = RegistryClientBuilder::new(base, cache.clone()).index_locations(locations.clone()).build();
                let client = client.map_err(|error| PypiError::Setup(error.into()))?;
                let context = NoBuilds::new(cache, locations.clone(), build_options);
                let database = DistributionDatabase::new(&client, &context, Arc::new(Semaphore::new(1)));
                let parts = project::Context { database: &database, build: &context, client: &client };
                let wanted = own.wanted(&parts).await?;
                let texts = wanted.requirements.iter().map(|one| text(one, &[])).collect::<Result<Vec<_>, _>>()?;
                requirements = unique(requirements.into_iter().chain(texts));
            }
            Ok(Inputs {
                requirements,
                constraints: constraints(&specification),
                indexes: indexes::all(&locations, &request.indexes)?,
            })
        };
        on_own_stack(|runtime| runtime.block_on(read()))
    }
}

fn requirements(specification: &RequirementsSpecification) -> Result<Vec<String>, PypiError> {
    let texts = specification.requirements.iter().map(|entry| match &entry.requirement {
        UnresolvedRequirement::Named(requirement) => text(requirement, &entry.hashes),
        UnresolvedRequirement::Unnamed(unnamed) => match requirements::named_by_file(unnamed) {
            Some(requirement) => text(&requirement, &entry.hashes),
            None => unnamed_text(unnamed, &entry.hashes),
        },
    });
    Ok(unique(texts.collect::<Result<Vec<_>, _>>()?.into_iter()))
}

fn constraints(specification: &RequirementsSpecification) -> Vec<String> {
    let texts = specification.constraints.iter().map(|entry| text(&entry.requirement, &entry.hashes));
    // A constraint is never a file.
    unique(texts.filter_map(Result::ok))
}

/// Removes repeated texts, and keeps the order.
fn unique(texts: impl Iterator<Item = String>) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for text in texts {
        if !all.contains(&text) {
            all.push(text);
        }
    }
    all
}

/// Returns a requirement without a name as a text. If a source distribution is named by path, its text contains its
/// digest.
fn unnamed_text(unnamed: &UnnamedRequirement<VerbatimParsedUrl>, hashes: &[String]) -> Result<String, PypiError> {
    let given = unnamed.url.verbatim.given();
    match &unnamed.url.parsed_url {
        // The path of the project itself is not an input.
        ParsedUrl::Directory(_) if given.is_none() => Ok(format!("directory{}", extras(&unnamed.extras))),
        ParsedUrl::Path(path) => {
            let file = path.install_path.file_name().unwrap_or_default().to_string_lossy();
            let digest = digest_of(&path.install_path, &file)?;
            Ok(format!("{file}{}{}", extras(&unnamed.extras), with_hashes(hashes, Some(digest))))
        }
        _ => Ok(public(given.unwrap_or(&unnamed.to_string()))),
    }
}

fn digest_of(path: &Path, requirement: &str) -> Result<Digest, PypiError> {
    let unreadable =
        |error: std::io::Error| PypiError::Requirement { requirement: public(requirement), source: error.into() };
    Ok(Digest::of(&fs_err::read(path).map_err(unreadable)?))
}

/// Returns the hashes of a requirement and the digest of its file, in the form of a requirements file.
fn with_hashes(hashes: &[String], digest: Option<Digest>) -> String {
    let hashes: BTreeSet<String> = hashes.iter().cloned().chain(digest.map(|digest| digest.prefixed())).collect();
    hashes.iter().map(|hash| format!(" --hash={hash}")).collect()
}

/// Returns a requirement as a text. If a wheel is named by path, its text contains its digest, so that a changed wheel
/// is noticed.
fn text(requirement: &Requirement, hashes: &[String]) -> Result<String, PypiError> {
    let named = format!("{}{}", requirement.name, extras(&requirement.extras));
    let (text, digest) = match &requirement.source {
        RequirementSource::Path { install_path, .. } => {
            let file = install_path.file_name().unwrap_or_default().to_string_lossy();
            (format!("{named} @ {file}"), Some(digest_of(install_path, &requirement.to_string())?))
        }
        // There is no digest, because the files of a folder may change. The requirements of the distribution are
        // compared when it is built.
        RequirementSource::Directory { .. } => (format!("{named} @ directory"), None),
        _ => (public(&requirement.to_string()), None),
    };
    Ok(text + &with_hashes(hashes, digest))
}

/// Returns extras as in PEP 508: `[one,two]`.
fn extras(extras: &[ExtraName]) -> String {
    let extras: Vec<String> = extras.iter().map(ToString::to_string).collect();
    if extras.is_empty() { String::new() } else { format!("[{}]", extras.join(",")) }
}
