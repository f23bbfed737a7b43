//! The inputs of a request in a form that does not depend on the folder, for locks.

use uv_distribution_types::{Requirement, RequirementSource};
use uv_requirements::RequirementsSpecification;

use crate::model::all_indexes::AllIndexes;
use crate::model::digest::Digest;
use crate::model::request::PythonRequest;
use crate::model::secret_text::public;
use crate::outside::pypi::requirements::{self, Requirements};
use crate::outside::pypi::{Pypi, PypiError, indexes, on_own_stack};

/// The inputs of a request. They contain no credentials, and nothing about the places of files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Inputs {
    /// In PEP 508's form, each with its hashes. Wheels by path have only their file name.
    pub(crate) requirements: Vec<String>,
    pub(crate) constraints: Vec<String>,
    pub(crate) indexes: AllIndexes,
}

impl Pypi {
    /// Reads the inputs of `request`.
    pub(crate) fn inputs(&self, request: &PythonRequest) -> Result<Inputs, PypiError> {
        let read = async || {
            let base = self.base_client()?;
            let Requirements { specification, .. } = requirements::read(request, &self.variables, &base).await?;
            let locations = indexes::locations(&request.indexes, &specification, &self.credentials)?;
            Ok(Inputs {
                requirements: requirements(&specification)?,
                constraints: constraints(&specification),
                indexes: indexes::all(&locations),
            })
        };
        on_own_stack(|runtime| runtime.block_on(read()))
    }
}

fn requirements(specification: &RequirementsSpecification) -> Result<Vec<String>, PypiError> {
    let named = requirements::named(specification)?;
    let entries = named.iter().zip(&specification.requirements);
    let texts = entries.map(|(requirement, entry)| text(requirement, &entry.hashes));
    Ok(unique(texts.collect::<Result<Vec<_>, _>>()?.into_iter()))
}

fn constraints(specification: &RequirementsSpecification) -> Vec<String> {
    let texts = specification.constraints.iter().map(|entry| text(&entry.requirement, &entry.hashes));
    // A constraint is not a file.
    unique(texts.filter_map(Result::ok))
}

/// Removes repetitions, and keeps the order.
fn unique(texts: impl Iterator<Item = String>) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for text in texts {
        if !all.contains(&text) {
            all.push(text);
        }
    }
    all
}

/// Returns a requirement as a text. The text of a wheel by path has its digest, so that a changed wheel is noticed.
fn text(requirement: &Requirement, hashes: &[String]) -> Result<String, PypiError> {
    let mut hashes: Vec<String> = hashes.iter().map(|hash| format!(" --hash={hash}")).collect();
    let text = match &requirement.source {
        RequirementSource::Path { install_path, .. } => {
            let file = install_path.file_name().unwrap_or_default().to_string_lossy();
            let bytes = fs_err::read(install_path);
            let bytes = bytes.map_err(|error| PypiError::Requirement {
                requirement: public(&requirement.to_string()),
                source: error.into(),
            })?;
            hashes.push(format!(" --hash={}", Digest::of(&bytes).prefixed()));
            format!("{} @ {file}", requirement.name)
        }
        _ => public(&requirement.to_string()),
    };
    hashes.sort();
    hashes.dedup();
    Ok(text + &hashes.concat())
}
