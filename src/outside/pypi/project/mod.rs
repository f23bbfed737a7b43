//! Project folders: reads their requirements, and the settings in `[tool.uv]` that affect these (uv's documentation,
//! "Projects").

mod facts;
mod lock_difference;
mod pinned;
mod tables;
mod uv_lock;

use std::borrow::Cow;
use std::path::Path;

use serde::Deserialize as _;
use uv_cache::Cache;
use uv_configuration::{
    BuildOptions, DependencyGroups, DependencyGroupsWithDefaults, Excludes, ExtrasSpecification,
    ExtrasSpecificationWithDefaults, Override, PackageOverride,
};
use uv_distribution::{BuildRequires, DistributionDatabase, FlatRequiresDist, SourcedDependencyGroups};
use uv_distribution_types::{
    DependencyMetadata, Index, NameRequirementSpecification, Requirement, RequirementSource, StaticMetadata,
    UnresolvedRequirement, UnresolvedRequirementSpecification,
};
use uv_normalize::{DEV_DEPENDENCIES, DefaultExtras, DefaultGroups, ExtraName, GroupName, PackageName};
use uv_pep508::{MarkerTree, UnnamedRequirement, VerbatimUrl};
use uv_pypi_types::{ConflictKind, ParsedDirectoryUrl, ParsedUrl, VerbatimParsedUrl};
use uv_redacted::DisplaySafeUrl;
use uv_types::BuildContext;
use uv_workspace::{DiscoveryOptions, VirtualProject, WorkspaceCache, WorkspaceMember};

pub(crate) use self::facts::{member_folder, read_project};
use self::pinned::Pinned;
use self::tables::Tables;
pub(super) use self::uv_lock::Locked;
use crate::formats::pins::Pins;
use crate::model::distribution_name::normalised;
use crate::model::indexes::IndexEntry;
use crate::model::project::{Extras, LockKind, ProjectRequest};
use crate::model::request;
use crate::model::world_settings::Variables;
use crate::outside::pypi::indexes::entry;
use crate::outside::pypi::target::Target;
use crate::outside::pypi::wheels::Answer;
use crate::outside::pypi::{Cause, PypiError, redacted};

/// A project whose `pyproject.toml` was read, together with its workspace.
pub(super) struct Discovered<'a> {
    request: &'a ProjectRequest,
    project: VirtualProject,
    extras: ExtrasSpecificationWithDefaults,
    groups: DependencyGroupsWithDefaults,
}

/// All requirements of a project.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    pub(super) requirements: Vec<Requirement>,
    pub(super) constraints: Vec<Requirement>,
    pub(super) overrides: Vec<Override<Requirement>>,
    pub(super) excludes: Excludes,
}

/// A project as it is on disk. uv reads `discovered`. lath itself reads `tables` and `pinned`, because uv cannot read
/// the files of Poetry, PDM and Pipenv.
pub(super) struct Input<'a> {
    request: &'a ProjectRequest,
    /// `None` if the folder has no `pyproject.toml`.
    discovered: Option<Discovered<'a>>,
    tables: Tables<'a>,
    pinned: Option<Pinned<'a>>,
}

impl<'a> Input<'a> {
    /// Reads a project, its workspace and its lock.
    pub(super) async fn read(request: &'a ProjectRequest, cache: &Cache) -> Result<Self, PypiError> {
        let (tables, pinned) = (Tables::read(request)?, Pinned::read(request)?);
        let other_groups = [tables.groups(), pinned.iter().flat_map(Pinned::groups).cloned().collect()].concat();
        let has_toml = request.folder.join("pyproject.toml").is_file();
        let discovered = if has_toml { Some(Discovered::new(request, cache, &other_groups).await?) } else { None };
        let failed = unreadable(&request.folder);
        if discovered.is_none() {
            let names = request.groups.iter().map(|name| Pins::pipenv_group(name));
            Chosen { what: "group", known: &other_groups }.of(names).map_err(&failed)?;
        }
        tables.extras().map_err(failed)?;
        Ok(Self { request, discovered, tables, pinned })
    }

    /// Returns the indexes that are named in the project and its lock. `variables` are those of the environment, because
    /// the URLs of PDM and Pipenv may contain their names. If the user gave a default index (`has_default`), an index of
    /// Poetry, PDM or Pipenv that replaces PyPI is one more index.
    pub(super) fn indexes(&self, variables: &Variables, has_default: bool) -> Vec<IndexEntry> {
        let mut indexes: Vec<IndexEntry> =
            self.discovered.iter().flat_map(Discovered::indexes).map(|index| entry(&index)).collect();
        // The lock of uv contains the URLs of all files.
        if self.request.lock.as_ref().is_some_and(|lock| lock.kind == LockKind::Uv) {
            return indexes;
        }
        let of_lock = self.pinned.iter().flat_map(Pinned::indexes);
        // The lock of Poetry names the index of each distribution.
        let is_needed = self.pinned.as_ref().is_none_or(Pinned::is_for_all_indexes);
        let of_tables = self.tables.indexes().filter(|_| is_needed);
        indexes.extend(of_lock.chain(of_tables).map(|index| IndexEntry {
            name: index.name.clone().filter(|name| IndexEntry::is_name(name)),
            url: if index.is_of_poetry { index.url.clone() } else { expanded(index.url.exposed(), variables).into() },
            is_default: index.is_default && !has_default,
            ..index.clone()
        }));
        indexes
    }

    /// Returns whether every index may be searched for every distribution, because the lock has the digests of all
    /// files but not their indexes.
    pub(super) fn is_for_all_indexes(&self) -> bool {
        self.pinned.as_ref().is_some_and(Pinned::is_for_all_indexes)
    }

    /// Returns the digests of the files in the lock.
    pub(super) fn hashes(&self) -> Result<Vec<NameRequirementSpecification>, PypiError> {
        self.pinned.as_ref().map(Pinned::hashes).transpose().map(Option::unwrap_or_default)
    }

    /// Returns the versions that are preferred if several versions in the lock are possible.
    pub(super) fn preferred(&self) -> Vec<request::Pin> {
        self.pinned.as_ref().map(Pinned::preferred).unwrap_or_default()
    }

    /// Returns the project as a requirement without a name. This is needed if `pyproject.toml` does not contain the
    /// name of the package, because then only the build backend knows the name.
    pub(super) fn unnamed(&self) -> Result<Option<UnresolvedRequirementSpecification>, PypiError> {
        let is_standard = self.discovered.as_ref().is_some_and(|discovered| !discovered.members().is_empty());
        if is_standard || !self.request.is_package {
            return Ok(None);
        }
        let failed = unreadable(&self.request.folder);
        let folder = self.request.folder.as_path();
        let names = match (&self.request.extras, self.tables.extras().map_err(&failed)?) {
            (_, Some(names)) => names,
            (Extras::Named(names), None) => names.clone(),
            (Extras::All, None) => {
                return Err(failed("the extras of this project are not known: name them with `--extra`".into()));
            }
        };
        let extras = names.iter().map(|name| name.parse()).collect::<Result<Box<[ExtraName]>, _>>();
        let verbatim = VerbatimUrl::from_absolute_path(folder).map_err(|error| failed(error.into()))?;
        let parsed = ParsedDirectoryUrl::from_source(folder.into(), Some(false), Some(false), verbatim.to_url());
        let url = VerbatimParsedUrl { parsed_url: ParsedUrl::Directory(parsed), verbatim };
        let extras = extras.map_err(|error| failed(error.into()))?;
        let requirement = UnnamedRequirement { url, extras, marker: MarkerTree::TRUE, origin: None };
        let requirement = UnresolvedRequirement::Unnamed(requirement);
        Ok(Some(UnresolvedRequirementSpecification { requirement, hashes: Vec::new() }))
    }

    /// Returns the distributions in the project's `uv.lock`. Returns `None` if no such lock is used.
    pub(super) async fn locked<C: BuildContext>(
        &self,
        context: &Context<'_, C>,
        target: &Target,
        build_options: &BuildOptions,
    ) -> Result<Option<Locked>, PypiError> {
        match &self.discovered {
            Some(discovered) => discovered.locked(context, target, build_options).await,
            None => Ok(None),
        }
    }

    /// Returns the metadata that the project contains about distributions.
    pub(super) fn dependency_metadata(&self) -> Result<DependencyMetadata, PypiError> {
        self.discovered.as_ref().map(Discovered::dependency_metadata).transpose().map(Option::unwrap_or_default)
    }

    /// Returns all requirements of the project.
    pub(super) async fn wanted<C: BuildContext>(&self, context: &Context<'_, C>) -> Result<Wanted, PypiError> {
        let mut wanted = match &self.discovered {
            Some(discovered) => discovered.wanted(context).await?,
            None => Wanted::default(),
        };
        let failed = unreadable(&self.request.folder);
        wanted.requirements.extend(self.tables.requirements(self.pinned.is_some()).map_err(&failed)?);
        let replacements = if let Some(pinned) = &self.pinned {
            wanted.requirements.extend(pinned.requirements.iter().cloned());
            wanted.constraints.extend(pinned.constraints()?);
            let written = self.discovered.as_ref().map(Discovered::written).unwrap_or_default();
            pinned.replacements(&[&wanted.requirements[..], &written].concat(), &self.tables)?
        } else {
            let places = self.tables.places().map_err(&failed)?;
            wanted.constraints.extend(places.constraints);
            places.replacements
        };
        wanted.overrides.extend(replacements.into_iter().map(Override::Requirement));
        Ok(wanted)
    }

    /// Fails if the answer contains a distribution that is not in the project's lock of Poetry, PDM or Pipenv.
    pub(super) fn check(&self, answer: &Answer) -> Result<(), PypiError> {
        let Some(pinned) = &self.pinned else { return Ok(()) };
        let own = self.discovered.iter().flat_map(Discovered::members).map(|member| member.project().name.to_string());
        let own = own.chain(self.tables.name());
        pinned.check(answer, &own.collect::<Vec<_>>())
    }
}

/// The parts of uv's context that are needed to read a project.
pub(super) struct Context<'a, C: BuildContext> {
    pub(super) database: &'a DistributionDatabase<'a, C>,
    pub(super) build: &'a C,
    pub(super) client: &'a uv_client::RegistryClient,
}

/// Returns an error about the project in `folder`.
fn unreadable(folder: &Path) -> impl Fn(Cause) -> PypiError + '_ {
    move |error| PypiError::Project { folder: folder.to_owned(), source: redacted(error) }
}

impl<'a> Discovered<'a> {
    /// Reads the `pyproject.toml` of a project and those of its workspace.
    /// `other_groups` are the groups that uv does not know.
    pub(super) async fn new(
        request: &'a ProjectRequest,
        cache: &Cache,
        other_groups: &[String],
    ) -> Result<Self, PypiError> {
        let failed = unreadable(&request.folder);
        let project = discover(request, cache).await.map_err(&failed)?;
        let extras = extras(request, &project).map_err(&failed)?;
        let groups = groups(request, &project, other_groups).map_err(&failed)?;
        let discovered = Self { request, project, extras, groups };
        discovered.refuse_conflicts().map_err(&failed)?;
        Ok(discovered)
    }

    /// Returns the indexes in `[tool.uv]` of the project and of its workspace.
    pub(super) fn indexes(&self) -> Vec<Index> {
        let of_project = self.project.pyproject_toml().tool.as_ref().and_then(|tool| tool.uv.as_ref());
        let of_project = of_project.and_then(|uv| uv.index.clone()).unwrap_or_default();
        let of_workspace = self.project.workspace().indexes().iter();
        let of_workspace = of_workspace.filter(|index| !of_project.contains(index)).cloned().collect::<Vec<_>>();
        [of_project, of_workspace].concat()
    }

    /// Returns the metadata that the user wrote for distributions whose own metadata is missing or wrong
    /// (`[[tool.uv.dependency-metadata]]`).
    pub(super) fn dependency_metadata(&self) -> Result<DependencyMetadata, PypiError> {
        let raw = &self.project.workspace().pyproject_toml().raw;
        let entries = || -> Result<Vec<StaticMetadata>, toml::de::Error> {
            let document: toml::Table = toml::from_str(raw)?;
            let table = document.get("tool").and_then(|tool| tool.get("uv"));
            let Some(list) = table.and_then(|uv| uv.get("dependency-metadata")) else { return Ok(Vec::new()) };
            Vec::<StaticMetadata>::deserialize(list.clone())
        };
        let entries = entries().map_err(|error| unreadable(&self.request.folder)(error.into()))?;
        Ok(DependencyMetadata::from_entries(entries))
    }

    /// Returns all requirements of the project without using a lock.
    pub(super) async fn wanted<C: BuildContext>(&self, context: &Context<'_, C>) -> Result<Wanted, PypiError> {
        let failed = unreadable(&self.request.folder);
        let mut requirements = Vec::new();
        match &self.project {
            VirtualProject::Project(project) => {
                requirements.extend(self.of_member(project.current_project(), context).await?);
            }
            // If the root of a workspace contains no project, all members are required.
            VirtualProject::NonProject(workspace) => {
                for member in workspace.packages().values() {
                    requirements.extend(self.of_member(member, context).await?);
                }
            }
        }
        requirements.extend(self.of_groups(context).await.map_err(&failed)?);
        let workspace = self.project.workspace();
        let constraints = self.lowered(workspace.constraints(), context).await.map_err(&failed)?;
        let overrides = self.overrides(context).await.map_err(&failed)?;
        let excludes = Excludes::from_entries(workspace.exclude_dependencies());
        Ok(Wanted { requirements, constraints, overrides, excludes })
    }

    /// Returns the requirements of a member. If the member is a package, the result is a requirement of the member
    /// itself. Otherwise the result contains its dependencies.
    async fn of_member<C: BuildContext>(
        &self,
        member: &WorkspaceMember,
        context: &Context<'_, C>,
    ) -> Result<Vec<Requirement>, PypiError> {
        let failed = unreadable(member.root());
        let name = &member.project().name;
        if self.installs(member) {
            return Ok(vec![self.itself(member).map_err(failed)?]);
        }
        let raw = &member.pyproject_toml().raw;
        let toml = uv_pypi_types::PyProjectToml::from_toml(raw, member.root().display());
        let toml = toml.map_err(|error| failed(error.into()))?;
        let metadata = context.database.requires_dist(member.root(), &toml).await;
        let Some(metadata) = metadata.map_err(|error| failed(error.into()))? else {
            return Err(failed(unusable(member)));
        };
        let extras: Vec<ExtraName> = self.extras.extra_names(metadata.provides_extra.iter()).cloned().collect();
        let flat = FlatRequiresDist::from_requirements(metadata.requires_dist, name).into_iter();
        Ok(flat
            .map(|requirement| Requirement { marker: requirement.marker.simplify_extras(&extras), ..requirement })
            .collect())
    }

    /// Returns whether a member itself is installed as a distribution. Otherwise only its dependencies are installed.
    fn installs(&self, member: &WorkspaceMember) -> bool {
        let is_required = self.project.workspace().required_members().contains_key(&member.project().name);
        member.pyproject_toml().is_package(!is_required)
    }

    /// Returns the requirement of a member that is a package.
    fn itself(&self, member: &WorkspaceMember) -> Result<Requirement, Cause> {
        let known = member.project().optional_dependencies.iter().flat_map(|extras| extras.keys());
        let extras: Vec<ExtraName> = match &self.request.extras {
            // Extras that the user named are not checked here. If the metadata is dynamic, `pyproject.toml` does not
            // list the extras.
            Extras::Named(names) => names.iter().map(|name| Ok(name.parse()?)).collect::<Result<_, Cause>>()?,
            Extras::All => self.extras.extra_names(known).cloned().collect(),
        };
        directory(member.project().name.clone(), member.root(), extras)
    }

    /// Returns the requirements of the groups that are installed (PEP 735).
    async fn of_groups<C: BuildContext>(&self, context: &Context<'_, C>) -> Result<Vec<Requirement>, Cause> {
        let sourced = SourcedDependencyGroups::from_virtual_project(
            &self.project.root().join("pyproject.toml"),
            None,
            context.build.locations(),
            context.build.sources().clone(),
            context.build.cache(),
            context.build.workspace_cache(),
            context.client.credentials_cache(),
        )
        .await?;
        let wanted = sourced.dependency_groups.into_iter().filter(|(name, _)| self.groups.contains(name));
        Ok(wanted.flat_map(|(_, requirements)| requirements.into_vec()).collect())
    }

    /// Applies `[tool.uv.sources]` to requirements of the workspace.
    async fn lowered<C: BuildContext>(
        &self,
        requirements: Vec<uv_pep508::Requirement<VerbatimParsedUrl>>,
        context: &Context<'_, C>,
    ) -> Result<Vec<Requirement>, Cause> {
        let workspace = self.project.workspace();
        let name = workspace.pyproject_toml().project.as_ref().map(|project| project.name.clone());
        // uv has no separate function for these requirements, so the function for requirements of builds is used.
        // Neither kind of requirements has extras or groups.
        let lowered = BuildRequires::from_workspace(
            uv_pypi_types::BuildRequires { name, requires_dist: requirements },
            workspace,
            context.build.locations(),
            context.build.sources(),
            context.build.cache(),
            context.build.workspace_cache(),
            context.client.credentials_cache(),
        )
        .await?;
        Ok(lowered.requires_dist)
    }

    /// Returns `override-dependencies` of the workspace.
    async fn overrides<C: BuildContext>(&self, context: &Context<'_, C>) -> Result<Vec<Override<Requirement>>, Cause> {
        let mut overrides = Vec::new();
        for entry in self.project.workspace().overrides() {
            match entry {
                Override::Requirement(requirement) => {
                    let lowered = self.lowered(vec![requirement], context).await?;
                    overrides.extend(lowered.into_iter().map(Override::Requirement));
                }
                Override::Package(PackageOverride { package, dependencies }) => {
                    let dependencies = self.lowered(dependencies.into_vec(), context).await?.into_boxed_slice();
                    overrides.push(Override::Package(PackageOverride { package, dependencies }));
                }
            }
        }
        Ok(overrides)
    }

    /// Refuses extras and groups that `[tool.uv] conflicts` declares as incompatible.
    fn refuse_conflicts(&self) -> Result<(), Cause> {
        let optional = self.project.pyproject_toml().project.iter().flat_map(|project| &project.optional_dependencies);
        let known: Vec<&ExtraName> = optional.flat_map(|extras| extras.keys()).collect();
        let extras: Vec<&ExtraName> = self.extras.extra_names(known.into_iter()).collect();
        for set in self.project.workspace().conflicts()?.iter() {
            let of_project = set.iter().filter(|item| Some(item.package()) == self.project.project_name());
            let active = of_project.filter_map(|item| match item.kind() {
                ConflictKind::Extra(extra) => extras.contains(&extra).then(|| format!("the extra `{extra}`")),
                ConflictKind::Group(group) => self.groups.contains(group).then(|| format!("the group `{group}`")),
                ConflictKind::Project => None,
            });
            let active: Vec<String> = active.collect();
            if active.len() > 1 {
                let names = active.join(" and ");
                return Err(format!("{names} cannot be installed together, because `conflicts` names them").into());
            }
        }
        Ok(())
    }

    /// Returns the dependencies in the `[project]` tables that can be read without a build.
    fn written(&self) -> Vec<Requirement> {
        let members = self.members();
        let texts = members.iter().flat_map(|member| member.project().dependencies.iter().flatten());
        texts.filter_map(|text| parsed(text).ok()).collect()
    }

    /// Returns the members that are installed.
    fn members(&self) -> Vec<&WorkspaceMember> {
        match &self.project {
            VirtualProject::Project(project) => vec![project.current_project()],
            VirtualProject::NonProject(workspace) => workspace.packages().values().collect(),
        }
    }
}

async fn discover(request: &ProjectRequest, cache: &Cache) -> Result<VirtualProject, Cause> {
    let (options, workspaces) = (DiscoveryOptions::default(), &WorkspaceCache::default());
    Ok(VirtualProject::discover(&request.folder, &options, cache, workspaces).await?)
}

/// Returns the extras of a request. Refuses an extra that `pyproject.toml` does not list. If it lists no extras, every
/// name is accepted, because the metadata may be dynamic.
fn extras(request: &ProjectRequest, project: &VirtualProject) -> Result<ExtrasSpecificationWithDefaults, Cause> {
    let chosen = match &request.extras {
        Extras::All => ExtrasSpecification::from_all_extras(),
        Extras::Named(names) => {
            let names = names.iter().map(|name| name.parse()).collect::<Result<Vec<ExtraName>, _>>()?;
            let optional = project.pyproject_toml().project.iter().flat_map(|table| &table.optional_dependencies);
            let known: Vec<String> = optional.flat_map(|extras| extras.keys()).map(ToString::to_string).collect();
            if !known.is_empty() {
                Chosen { what: "extra", known: &known }.of(names.iter().map(ToString::to_string))?;
            }
            ExtrasSpecification::from_extra(names)
        }
    };
    Ok(chosen.with_defaults(DefaultExtras::default()))
}

/// Returns the groups of a request that uv knows: those that the user named, and the project's default groups. `dev` is
/// left out, because an image is not for development. `others` are the names of the groups that uv does not know.
fn groups(
    request: &ProjectRequest,
    project: &VirtualProject,
    others: &[String],
) -> Result<DependencyGroupsWithDefaults, Cause> {
    let toml = project.pyproject_toml();
    let mut known: Vec<&GroupName> = toml.dependency_groups.iter().flat_map(|groups| groups.keys()).collect();
    let uv = toml.tool.as_ref().and_then(|tool| tool.uv.as_ref());
    if uv.is_some_and(|uv| uv.dev_dependencies.is_some()) {
        known.push(&DEV_DEPENDENCIES);
    }
    let names = request.groups.iter().map(|name| name.parse()).collect::<Result<Vec<GroupName>, _>>()?;
    let (mut wanted, of_others): (Vec<_>, Vec<_>) = names.into_iter().partition(|name| known.contains(&name));
    let all: Vec<String> = known.iter().map(ToString::to_string).chain(others.iter().cloned()).collect();
    Chosen { what: "group", known: &all }.of(of_others.iter().map(|name| Pins::pipenv_group(name.as_ref())))?;
    let defaults: Cow<'_, [GroupName]> = match uv.and_then(|uv| uv.default_groups.as_ref()) {
        None => Cow::Borrowed(&[]),
        Some(DefaultGroups::List(names)) => Cow::Borrowed(names),
        Some(DefaultGroups::All) => Cow::Owned(known.iter().map(|name| (*name).clone()).collect()),
    };
    wanted.extend(defaults.iter().filter(|name| **name != *DEV_DEPENDENCIES).cloned());
    let groups = DependencyGroups::from_args(None, wanted, Vec::new(), true, Vec::new(), false);
    Ok(groups.with_defaults(DefaultGroups::List(Vec::new())))
}

/// Returns the reason why the dependencies of a member cannot be read without a build.
fn unusable(member: &WorkspaceMember) -> Cause {
    let project = member.project();
    let optional = project.optional_dependencies.iter().flat_map(|extras| extras.values()).flatten();
    for text in project.dependencies.iter().flatten().chain(optional) {
        if let Err(error) = text.parse::<uv_pep508::Requirement<VerbatimParsedUrl>>() {
            return format!("cannot read its dependency `{text}`: {error}").into();
        }
    }
    "its dependencies are dynamic, but it is not a package: write them into `[project]`".into()
}

/// The extras or groups that a project has.
struct Chosen<'a> {
    what: &'static str,
    known: &'a [String],
}

impl Chosen<'_> {
    /// Returns the names that the user chose. Refuses a name that the project does not have.
    fn of(&self, names: impl Iterator<Item = String>) -> Result<Vec<String>, Cause> {
        let is_known = |name: &String| self.known.iter().any(|known| normalised(known) == normalised(name));
        let chosen: Vec<String> = names.collect();
        let Some(unknown) = chosen.iter().find(|name| !is_known(name)) else { return Ok(chosen) };
        let known: Vec<String> = self.known.iter().map(|name| format!("`{name}`")).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        Err(format!("it has no {} `{unknown}`; it has {known}", self.what).into())
    }
}

fn parsed(text: &str) -> Result<Requirement, Cause> {
    let requirement: uv_pep508::Requirement<VerbatimParsedUrl> = text.parse()?;
    Ok(Requirement::from(requirement))
}

/// Returns a path, which is relative to `folder`, in the form of a requirement.
fn url_of_path(folder: &Path, path: &str) -> Result<String, Cause> {
    let url = DisplaySafeUrl::from_file_path(folder.join(path)).map_err(|()| format!("`{path}` is not a path"))?;
    Ok(format!(" @ {url}"))
}

/// Replaces `$NAME` and `${NAME}` by the values of variables. Like in Pipenv and PDM, the text stays as it is if a
/// variable is unknown.
fn expanded(text: &str, variables: &Variables) -> String {
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let (mut done, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once('$') {
        let braced = after.strip_prefix('{').and_then(|text| text.split_once('}'));
        let bare = || after.split_at(after.find(|c| !is_of_name(c)).unwrap_or(after.len()));
        let (name, end) = braced.unwrap_or_else(bare);
        done.push_str(before);
        match variables.0.get(name) {
            Some(value) => done.push_str(value),
            None => done.push_str(&rest[before.len()..rest.len() - end.len()]),
        }
        rest = end;
    }
    done + rest
}

/// Returns the requirement of the distribution in a folder.
fn directory(name: PackageName, folder: &Path, extras: Vec<ExtraName>) -> Result<Requirement, Cause> {
    let source = RequirementSource::Directory {
        install_path: folder.into(),
        editable: Some(false),
        r#virtual: Some(false),
        url: VerbatimUrl::from_absolute_path(folder)?,
    };
    let extras = extras.into_boxed_slice();
    Ok(Requirement { name, extras, groups: Box::default(), marker: MarkerTree::TRUE, source, origin: None })
}
