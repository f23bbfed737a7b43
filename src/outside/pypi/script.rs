//! Scripts with metadata (PEP 723): reads their requirements, and the settings in `[tool.uv]` that affect these (uv's
//! documentation, "Running scripts").

use std::path::{Path, PathBuf};

use uv_configuration::{Excludes, Override, PackageOverride};
use uv_distribution::LoweredRequirement;
use uv_distribution_types::{DependencyMetadata, Index, Requirement};
use uv_pypi_types::VerbatimParsedUrl;
use uv_scripts::{OverrideDependency, Pep723Metadata, ToolUv};
use uv_types::BuildContext;

use crate::outside::pypi::project::{Context, Wanted};
use crate::outside::pypi::{Cause, PypiError, redacted};

/// A script whose metadata was read.
pub(super) struct Script<'a> {
    path: &'a Path,
    /// The folder that relative paths in `[tool.uv.sources]` are relative to.
    folder: PathBuf,
    metadata: Pep723Metadata,
}

/// A requirement as it is written in the metadata.
type Written = uv_pep508::Requirement<VerbatimParsedUrl>;

impl<'a> Script<'a> {
    pub(super) fn read(path: &'a Path) -> Result<Self, PypiError> {
        let read = || -> Result<Self, Cause> {
            let metadata = Pep723Metadata::parse(&fs_err::read(path)?)?.ok_or("it has no metadata")?;
            let absolute = fs_err::canonicalize(path)?;
            let folder = absolute.parent().unwrap_or(Path::new("/")).to_owned();
            Ok(Self { path, folder, metadata })
        };
        read().map_err(|error| Self::unreadable(path, error))
    }

    fn unreadable(path: &Path, error: Cause) -> PypiError {
        PypiError::Script { path: path.to_owned(), source: redacted(error) }
    }

    fn tool_uv(&self) -> Option<&ToolUv> {
        self.metadata.tool.as_ref()?.uv.as_ref()
    }

    /// Returns the indexes that are named in the script.
    pub(super) fn indexes(&self) -> Vec<Index> {
        self.tool_uv().and_then(|uv| uv.top_level.index.clone()).unwrap_or_default()
    }

    /// Returns the metadata that the script contains about distributions.
    pub(super) fn dependency_metadata(&self) -> DependencyMetadata {
        let entries = self.tool_uv().and_then(|uv| uv.top_level.dependency_metadata.clone());
        DependencyMetadata::from_entries(entries.unwrap_or_default())
    }

    /// Returns all requirements of the script.
    pub(super) async fn wanted<C: BuildContext>(&self, context: &Context<'_, C>) -> Result<Wanted, PypiError> {
        self.lower_all(context).await.map_err(|error| Self::unreadable(self.path, error))
    }

    async fn lower_all<C: BuildContext>(&self, context: &Context<'_, C>) -> Result<Wanted, Cause> {
        let dependencies = self.metadata.dependencies.clone().unwrap_or_default();
        let requirements = self.lowered(dependencies, context).await?;
        let Some(uv) = self.tool_uv() else { return Ok(Wanted { requirements, ..Wanted::default() }) };
        let constraints = self.lowered(uv.constraint_dependencies.clone().unwrap_or_default(), context).await?;
        let mut overrides = Vec::new();
        for entry in uv.override_dependencies.iter().flatten() {
            match entry {
                OverrideDependency::Requirement(requirement) => {
                    let lowered = self.lowered(vec![requirement.clone()], context).await?;
                    overrides.extend(lowered.into_iter().map(Override::Requirement));
                }
                OverrideDependency::Package(entry) => {
                    let dependencies = self.lowered(entry.dependencies.to_vec(), context).await?.into_boxed_slice();
                    overrides.push(Override::Package(PackageOverride { package: entry.package.clone(), dependencies }));
                }
            }
        }
        let excludes = Excludes::from_entries(uv.exclude_dependencies.clone().unwrap_or_default());
        Ok(Wanted { requirements, constraints, overrides, excludes })
    }

    /// Applies `[tool.uv.sources]` to requirements.
    async fn lowered<C: BuildContext>(
        &self,
        requirements: Vec<Written>,
        context: &Context<'_, C>,
    ) -> Result<Vec<Requirement>, Cause> {
        let sources = self.tool_uv().and_then(|uv| uv.sources.clone()).unwrap_or_default();
        let (indexes, build) = (self.indexes(), context.build);
        let mut all = Vec::new();
        for requirement in requirements {
            let lowered = LoweredRequirement::from_non_workspace_requirement(
                requirement,
                &self.folder,
                &sources,
                &indexes,
                build.locations(),
                build.cache(),
                build.workspace_cache(),
                context.client.credentials_cache(),
            );
            for one in lowered.await {
                all.push(one?.into_inner());
            }
        }
        Ok(all)
    }
}
