//! The user's own project or script: its indexes and its requirements.

use uv_cache::Cache;
use uv_distribution_types::{DependencyMetadata, NameRequirementSpecification};
use uv_types::BuildContext;

use crate::model::indexes::IndexEntry;
use crate::model::request::PythonRequest;
use crate::model::world_settings::Variables;
use crate::outside::pypi::PypiError;
use crate::outside::pypi::indexes::entry;
use crate::outside::pypi::project::{self, Context, Wanted};
use crate::outside::pypi::script::Script;

/// The project or the script of a request. A request has at most one of them.
pub(super) struct OwnInputs<'a> {
    pub(super) project: Option<project::Input<'a>>,
    script: Option<Script<'a>>,
}

impl<'a> OwnInputs<'a> {
    pub(super) async fn read(request: &'a PythonRequest, cache: &Cache) -> Result<Self, PypiError> {
        let project = match &request.project {
            Some(project) => Some(project::Input::read(project, cache).await?),
            None => None,
        };
        let script = request.script.as_deref().map(Script::read).transpose()?;
        Ok(Self { project, script })
    }

    /// Returns the indexes that are named in the project or script. `has_default` means that the user gave a default
    /// index.
    pub(super) fn indexes(&self, variables: &Variables, has_default: bool) -> Vec<IndexEntry> {
        let of_project = self.project.iter().flat_map(|project| project.indexes(variables, has_default));
        of_project.chain(self.script.iter().flat_map(Script::indexes).map(|index| entry(&index))).collect()
    }

    /// Returns the digests of the files in the lock of the project.
    pub(super) fn hashes(&self) -> Result<Vec<NameRequirementSpecification>, PypiError> {
        self.project.as_ref().map(project::Input::hashes).transpose().map(Option::unwrap_or_default)
    }

    /// Returns the metadata that the project or script contains about distributions.
    pub(super) fn dependency_metadata(&self) -> Result<DependencyMetadata, PypiError> {
        match (&self.project, &self.script) {
            (Some(project), _) => project.dependency_metadata(),
            (None, Some(script)) => Ok(script.dependency_metadata()),
            (None, None) => Ok(DependencyMetadata::default()),
        }
    }

    /// Returns all requirements of the project or script.
    pub(super) async fn wanted<C: BuildContext>(&self, context: &Context<'_, C>) -> Result<Wanted, PypiError> {
        match (&self.project, &self.script) {
            (Some(project), _) => project.wanted(context).await,
            (None, Some(script)) => script.wanted(context).await,
            (None, None) => Ok(Wanted::default()),
        }
    }
}
