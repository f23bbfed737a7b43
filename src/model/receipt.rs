//! The receipt: the results of a build, which are needed for the summary and for `--metadata-file`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::application::AppExtent;
use crate::model::base_image::Oddity;
use crate::model::hint::Hint;
use crate::model::image::Layer;
use crate::model::image_path::ImagePath;
use crate::model::options::TrimLevel;
use crate::model::platform::Platform;
use crate::model::reason::Removed;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Receipt {
    pub(crate) name: String,
    /// The digest of the index or of the only manifest, in the form `sha256:...`.
    pub(crate) digest: String,
    /// The destinations that were written, in the form in which a user would type them.
    pub(crate) destinations: Vec<String>,
    /// The number of the application's files, and their sizes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) application: Option<AppExtent>,
    pub(crate) platforms: Vec<PlatformReceipt>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PlatformReceipt {
    pub(crate) platform: Platform,
    /// The digest of the manifest.
    pub(crate) digest: String,
    pub(crate) files_bytes: u64,
    pub(crate) compressed_bytes: u64,
    pub(crate) layers: Vec<Layer>,
    /// The base image. Its layers come first in the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) base: Option<BaseReceipt>,
    /// The size of the files of each origin. The keys are the texts of `Origin`.
    pub(crate) bytes_by_origin: BTreeMap<String, u64>,
    /// The number of bytes that trim removed, by reason. In JSON, the keys are the ids of the reasons.
    pub(crate) removed_bytes_by_reason: BTreeMap<Removed, u64>,
    pub(crate) checks: ProofSummary,
    /// The entry point in exec form.
    pub(crate) entrypoint: Vec<String>,
    pub(crate) hints: Vec<String>,
    /// The gain of the next level of trim, if it was computed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) next_level: Option<NextLevel>,
}

/// The gain of a level of trim that is higher than the level of the image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NextLevel {
    pub(crate) level: TrimLevel,
    /// The total size of the files that this level would remove. Bytes that it would remove by rewriting files do not
    /// count.
    pub(crate) removed_bytes: u64,
    /// Messages of trim, such as the reason why all modules stay.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) notes: Vec<String>,
}

/// The base image's share of the image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BaseReceipt {
    /// The base image, as in `--base`.
    pub(crate) source: String,
    /// The digest of its manifest for the platform.
    pub(crate) digest: String,
    pub(crate) layers: usize,
    pub(crate) compressed_bytes: u64,
    /// Unusual things in the layers of the base image. lath does not change these layers. There are at most
    /// [`MAX_ODDITIES`], in the order of their paths.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) oddities: Vec<Oddity>,
    /// The number of further oddities.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) more_oddities: usize,
}

/// The maximum number of oddities of a base image in a receipt.
pub(crate) const MAX_ODDITIES: usize = 200;

fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// The result of the proof.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProofSummary {
    /// The checks that ran and passed, except those in `drove`.
    pub(crate) passed: Vec<Passed>,
    /// The checks that ran and passed, but whose files `--trim trace` kept. These checks prove less, because the
    /// trimming depends on them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) drove: Vec<Passed>,
    /// The checks that did not run.
    pub(crate) not_run: Vec<NotRun>,
    /// The checks that failed in the same way in the trimmed and the untrimmed tree.
    pub(crate) failed_alike: Vec<FailedAlike>,
    /// Observations that are not faults of the image.
    pub(crate) notes: Vec<ProofNote>,
    /// The files that trim removed, but that were put back because a check needs them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) put_back: Vec<PutBack>,
}

/// A file that trim removed, but that a check needs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct PutBack {
    pub(crate) path: ImagePath,
    /// The rule by which trim removed it.
    pub(crate) rule: Removed,
    /// The check that had a different result without the file.
    pub(crate) check: String,
}

/// A kind of items. One process imports or loads all items of a kind, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ItemKind {
    /// The functions that are called by console scripts.
    ScriptImports,
    /// The top-level modules of the requested distributions.
    Modules,
    /// Other modules, which are mostly inside of packages. Programs may import them later.
    InnerModules,
    ExtensionModules,
    /// Shared libraries that are not extension modules.
    SharedLibraries,
    /// Data and metadata of distributions that modules of the image name or read.
    DataFiles,
}

/// Checks that passed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "id")]
pub(crate) enum Passed {
    /// A command, as a user would type it.
    Command { command: String },
    /// `program --help`, and the help texts of this number of its subcommands.
    Help { program: String, subcommands: usize },
    /// This number of items of a kind.
    Items { kind: ItemKind, count: usize },
}

/// Checks that did not run, with the reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "id")]
pub(crate) enum NotRun {
    /// No check ran, because the user requested none.
    Unwanted,
    /// No check ran, because this machine cannot run programs of the platform.
    Foreign { platform: Platform, reason: String },
    /// The `checks` did not run, because the time limit for all checks was reached.
    OutOfTime { checks: Vec<String>, limit_secs: u64 },
}

/// Checks that failed in both trees with the same message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FailedAlike {
    pub(crate) checks: Vec<FailedCheck>,
    /// The line of the output that contains the most information.
    pub(crate) said: String,
    /// An addition to the image that may help, if the checks failed because something is missing.
    pub(crate) hint: Option<Hint>,
}

/// A failed check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FailedCheck {
    /// The name of the script or module that was checked.
    pub(crate) name: String,
    /// The check, as a user would type it.
    pub(crate) command: String,
}

/// An observation that is not a fault of the image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "id")]
pub(crate) enum ProofNote {
    /// The output of `command` is different in each run, so only its exit code was compared.
    Restless { command: String },
    /// The checks ran in an emulator. If a check started other programs, these could not be emulated, because the
    /// kernel has no emulator for them.
    Emulated { platform: Platform },
}

impl ProofSummary {
    /// Returns the failed check of the script `name`. Returns `None` if no check of this script failed.
    pub(crate) fn failed_script(&self, name: &str) -> Option<&FailedCheck> {
        self.failed_alike.iter().flat_map(|failed| &failed.checks).find(|check| check.name == name)
    }
}

/// Returns the first names of a list, and the number of the remaining names.
pub(crate) fn shortened(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let shown: Vec<String> = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
    let more = names.len().saturating_sub(SHOWN);
    if more == 0 { shown.join(", ") } else { format!("{} and {more} more", shown.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::hint::Addition;
    use crate::model::platform::Architecture;

    #[test]
    fn a_proof_has_stable_names_for_machines() {
        let text = str::to_owned;
        let platform = Platform { architecture: Architecture::Arm64 };
        let summary = ProofSummary {
            passed: vec![
                Passed::Command { command: text("tool --version") },
                Passed::Help { program: text("tool"), subcommands: 4 },
                Passed::Items { kind: ItemKind::ScriptImports, count: 1 },
                Passed::Items { kind: ItemKind::Modules, count: 3 },
                Passed::Items { kind: ItemKind::InnerModules, count: 9 },
                Passed::Items { kind: ItemKind::ExtensionModules, count: 2 },
                Passed::Items { kind: ItemKind::SharedLibraries, count: 7 },
                Passed::Items { kind: ItemKind::DataFiles, count: 5 },
            ],
            drove: vec![Passed::Command { command: text("tool --help") }],
            not_run: vec![
                NotRun::Unwanted,
                NotRun::Foreign { platform, reason: text("no emulator") },
                NotRun::OutOfTime { checks: vec![text("tool")], limit_secs: 9 },
            ],
            failed_alike: vec![FailedAlike {
                checks: vec![FailedCheck { name: text("tool"), command: text("tool --help") }],
                said: text("no sh"),
                hint: Some(Hint::Absent { name: text("sh"), add: Addition::Shell }),
            }],
            notes: vec![ProofNote::Restless { command: text("tool") }, ProofNote::Emulated { platform }],
            put_back: vec![PutBack {
                path: ImagePath::parse("/usr/x").unwrap(),
                rule: Removed::Documentation,
                check: text("tool --version"),
            }],
        };
        let json = serde_json::to_string(&summary).unwrap();
        assert_eq!(
            json,
            concat!(
                r#"{"passed":[{"id":"command","command":"tool --version"},"#,
                r#"{"id":"help","program":"tool","subcommands":4},"#,
                r#"{"id":"items","kind":"script-imports","count":1},"#,
                r#"{"id":"items","kind":"modules","count":3},"#,
                r#"{"id":"items","kind":"inner-modules","count":9},"#,
                r#"{"id":"items","kind":"extension-modules","count":2},"#,
                r#"{"id":"items","kind":"shared-libraries","count":7},"#,
                r#"{"id":"items","kind":"data-files","count":5}],"#,
                r#""drove":[{"id":"command","command":"tool --help"}],"#,
                r#""not_run":[{"id":"unwanted"},"#,
                r#"{"id":"foreign","platform":{"architecture":"arm64"},"reason":"no emulator"},"#,
                r#"{"id":"out-of-time","checks":["tool"],"limit_secs":9}],"#,
                r#""failed_alike":[{"checks":[{"name":"tool","command":"tool --help"}],"said":"no sh","#,
                r#""hint":{"absent":{"name":"sh","add":"shell"}}}],"#,
                r#""notes":[{"id":"restless","command":"tool"},"#,
                r#"{"id":"emulated","platform":{"architecture":"arm64"}}],"#,
                r#""put_back":[{"path":"/usr/x","rule":"documentation","check":"tool --version"}]}"#,
            )
        );
        assert_eq!(serde_json::from_str::<ProofSummary>(&json).unwrap(), summary);
    }
}
