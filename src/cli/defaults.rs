//! The defaults of options. `settings` uses a default if no layer contains the option. Defaults that depend on other
//! options are not here: `settings` computes them.

use crate::cli::choices::{Builder, Color};
use crate::cli::layers::Settings;
use crate::model::indexes::{IndexStrategy, Keyring};
use crate::model::request::{Bytecode, Entrypoint, Layering, LayersRequest, Prereleases, TrimLevel};
use crate::model::user_base::UserBase;
use crate::rivals::model::comparison::AptHabits;
use crate::rivals::model::dockerfile::Style;

pub(super) const COLOR: Color = Color::Auto;
pub(super) const TRIM: TrimLevel = TrimLevel::Standard;
pub(super) const BYTECODE: Bytecode = Bytecode::Start;
pub(super) const USER_BASE: &str = UserBase::DEFAULT;
pub(super) const ENTRYPOINT: Entrypoint = Entrypoint::Exec;
/// The work directory of an application.
pub(super) const APPLICATION: &str = "/app";
pub(super) const USER: &str = "65532:65532";
pub(super) const PRERELEASE: Prereleases = Prereleases::IfNecessary;
pub(super) const INDEX_STRATEGY: IndexStrategy = IndexStrategy::FirstIndex;
pub(super) const KEYRING_PROVIDER: Keyring = Keyring::Disabled;
/// The number of parallel downloads and uploads.
pub(super) const JOBS: usize = 16;
pub(super) const COMPRESSION: &str = "gzip:6";
pub(super) const LAYERS: Layering = Layering::Auto;
pub(super) const MAX_LAYERS: usize = LayersRequest::DEFAULT_MAX;
pub(super) const STYLE: Style = Style::Recipe;
pub(super) const BUILDER: Builder = Builder::Auto;
pub(super) const APT: AptHabits = AptHabits::Official;
/// The number of days after which unused files of the cache are removed.
pub(super) const OLDER_THAN: u64 = 30;

/// Returns the defaults as a layer, for the help texts, `lath config show --defaults` and tests.
pub(super) fn layer() -> Settings {
    Settings {
        color: Some(COLOR),
        trim: Some(TRIM),
        bytecode: Some(BYTECODE),
        user_base: Some(USER_BASE.to_owned()),
        entrypoint: Some(ENTRYPOINT),
        user: Some(USER.to_owned()),
        prerelease: Some(PRERELEASE),
        index_strategy: Some(INDEX_STRATEGY),
        keyring_provider: Some(KEYRING_PROVIDER),
        jobs: Some(JOBS),
        compression: Some(COMPRESSION.to_owned()),
        layers: Some(LAYERS),
        max_layers: Some(MAX_LAYERS),
        style: Some(STYLE),
        builder: Some(BUILDER),
        apt: Some(APT),
        older_than: Some(OLDER_THAN),
        ..Settings::default()
    }
}
