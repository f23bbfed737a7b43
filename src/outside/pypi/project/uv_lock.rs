//! Checks whether a `uv.lock` matches its project, and returns its distributions for one platform.

use std::path::Path;

use fs_err as fs;
use uv_configuration::{BuildOptions, InstallOptions};
use uv_distribution_types::{Requirement, Resolution};
use uv_normalize::PackageName;
use uv_pypi_types::ResolverMarkerEnvironment;
use uv_resolver::{InMemoryIndex, Installable, Lock};
use uv_types::{BuildContext, HashStrategy};

use crate::model::project::LockKind;
use crate::model::secret_text::public;
use crate::outside::pypi::project::lock_difference::difference;
use crate::outside::pypi::project::{Context, Discovered, unreadable};
use crate::outside::pypi::target::Target;
use crate::outside::pypi::{Cause, PypiError, redacted};

/// The parts of a lock that are installed.
struct Installed<'a> {
    root: &'a Path,
    lock: &'a Lock,
    members: Vec<PackageName>,
    project: Option<&'a PackageName>,
}

impl<'a> Installable<'a> for Installed<'a> {
    fn install_path(&self) -> &'a Path {
        self.root
    }

    fn lock(&self) -> &'a Lock {
        self.lock
    }

    fn roots(&self) -> impl Iterator<Item = &PackageName> {
        self.members.iter()
    }

    fn project_name(&self) -> Option<&PackageName> {
        self.project
    }
}

/// The distributions of a lock for one platform.
pub(in crate::outside::pypi) struct Locked {
    pub(in crate::outside::pypi) resolution: Resolution,
    /// The names of the distributions that the user requested.
    pub(in crate::outside::pypi) requested: Vec<String>,
}

impl Discovered<'_> {
    /// Returns the distributions in the project's `uv.lock`. Returns `None` if no such lock is used. Fails if the lock
    /// does not match the project.
    pub(in crate::outside::pypi) async fn locked<C: BuildContext>(
        &self,
        context: &Context<'_, C>,
        target: &Target,
        build_options: &BuildOptions,
    ) -> Result<Option<Locked>, PypiError> {
        let workspace = self.project.workspace();
        let found = self.request.lock.as_ref().filter(|lock| lock.kind == LockKind::Uv);
        // If a folder is inside a workspace but is not one of its members, the lock of the workspace does not include
        // it.
        let Some(path) = found.map(|lock| &lock.path).filter(|path| path.parent() == Some(workspace.install_path()))
        else {
            return Ok(None);
        };
        let failed = |error: Cause| PypiError::ForeignLock { path: path.clone(), source: redacted(error) };
        let text = fs::read_to_string(path).map_err(|error| failed(error.into()))?;
        let lock = Lock::from_toml(&text).map_err(|error| failed(error.into()))?;
        let differs = |differences: Vec<String>| PypiError::LockDiffers {
            path: path.clone(),
            differences,
            update: LockKind::Uv.update(),
        };
        if let Some(problem) = other_target(&lock, target) {
            return Err(differs(vec![problem]));
        }
        if let Some(differences) = self.difference(&lock, context, target, build_options).await? {
            return Err(differs(differences));
        }
        let installed = Installed {
            root: workspace.install_path(),
            lock: &lock,
            members: self.members().iter().map(|member| member.project().name.clone()).collect(),
            project: self.project.project_name(),
        };
        let markers = ResolverMarkerEnvironment::from(target.markers.clone());
        let options = InstallOptions::default();
        let resolution =
            installed.to_resolution(&markers, &target.tags, &self.extras, &self.groups, build_options, &options);
        let resolution = resolution.map_err(|error| failed(error.into()))?;
        Ok(Some(Locked { resolution, requested: self.requested(&lock) }))
    }

    /// Returns the names of the distributions that count as requested. These are the members themselves: the
    /// project, or all members of a workspace without a project. If a member is not installed as a distribution, its
    /// dependencies count as well.
    fn requested(&self, lock: &Lock) -> Vec<String> {
        let mut names = Vec::new();
        for member in self.members() {
            let name = &member.project().name;
            names.push(name.to_string());
            let package = lock.find_by_name(name).ok().flatten();
            if !self.installs(member) {
                let dependencies = package.iter().flat_map(|package| package.dependencies());
                names.extend(dependencies.map(|dependency| dependency.package_name().to_string()));
            }
        }
        names
    }

    /// Returns the differences between the lock and the project. Returns `None` if there are none.
    async fn difference<C: BuildContext>(
        &self,
        lock: &Lock,
        context: &Context<'_, C>,
        target: &Target,
        build_options: &BuildOptions,
    ) -> Result<Option<Vec<String>>, PypiError> {
        let failed = unreadable(&self.request.folder);
        let workspace = self.project.workspace();
        let constraints = self.lowered(workspace.constraints(), context).await.map_err(&failed)?;
        let build_constraints = self.lowered(workspace.build_constraints(), context).await.map_err(&failed)?;
        let overrides = self.overrides(context).await.map_err(&failed)?;
        let mut groups = std::collections::BTreeMap::new();
        for (name, group) in workspace.workspace_dependency_groups().map_err(|error| failed(error.into()))? {
            let lowered: Vec<Requirement> = self.lowered(group.requirements, context).await.map_err(&failed)?;
            groups.insert(name, lowered);
        }
        let metadata = self.dependency_metadata()?;
        let index = InMemoryIndex::default();
        let result = lock
            .satisfies(
                workspace.install_path(),
                workspace.packages(),
                &self.member_names(),
                workspace.required_members(),
                &[],
                &constraints,
                &overrides,
                &workspace.exclude_dependencies(),
                &build_constraints,
                &groups,
                &metadata,
                // The lock contains the indexes of its files, so no other index is used.
                None,
                &target.tags,
                &target.markers,
                build_options,
                &HashStrategy::None,
                &index,
                context.database,
                true,
            )
            .await
            .map_err(|error| failed(error.into()))?;
        Ok(difference(&result))
    }

    /// Returns the members as a lock lists them. If there is only one project, a lock lists no members.
    fn member_names(&self) -> Vec<PackageName> {
        let workspace = self.project.workspace();
        let names: Vec<PackageName> = workspace.packages().keys().cloned().collect();
        if names.len() == 1 && !workspace.is_non_project() { Vec::new() } else { names }
    }
}

/// Returns a sentence if the lock does not support the Python or the platform of `target`.
fn other_target(lock: &Lock, target: &Target) -> Option<String> {
    let python = &target.markers.python_full_version().version;
    if !lock.requires_python().contains(python) {
        let range = lock.requires_python();
        return Some(format!("it is for python {range}, and the image has python {python}"));
    }
    let environments = lock.simplified_supported_environments();
    let is_supported =
        environments.is_empty() || environments.iter().any(|marker| marker.evaluate(&target.markers, &[]));
    (!is_supported).then(|| {
        let markers: Vec<String> = environments.iter().filter_map(|marker| marker.try_to_string()).collect();
        format!("it is only for {}, and the image is for {}", public(&markers.join(" or ")), target.platform)
    })
}
