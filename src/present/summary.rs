//! The summary after a build: the size of the image and of its parts, the removed files, the proof, and how to run the
//! image.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::model::application::AppExtent;
use crate::model::base_image::Oddity;
use crate::model::copy::{Copied, CopyRequest};
use crate::model::destination::Destination;
use crate::model::image::{BlobDigest, Layer};
use crate::model::receipt::{
    BaseReceipt, FailedAlike, FailedCheck, ItemKind, NextLevel, NotRun, Passed, PlatformReceipt, ProofNote,
    ProofSummary, PutBack, Receipt, shortened,
};
use crate::model::request::Request;
use crate::present::megabytes::megabytes;
use crate::rivals::model::dockerfile::EngineReceipt;

/// The maximum number of origins that are listed by name.
const ORIGINS: usize = 8;
/// The maximum number of layers that are listed. If there are more, only the largest are listed.
const LAYERS: usize = 12;
/// Smaller amounts are not listed in a separate line.
const LEAST_BYTES: u64 = 50_000;

/// Returns the summary of a build whose image was written to `destinations`.
pub(crate) fn summary(receipt: &Receipt, destinations: &[Destination]) -> String {
    let mut blocks: Vec<String> =
        receipt.platforms.iter().map(|platform| platform_block(&receipt.name, platform)).collect();
    blocks.extend(receipt.application.as_ref().map(application));
    let ways: Vec<String> = destinations.iter().filter_map(|to| way_to_run(&receipt.name, to)).collect();
    if let Some(way) = ways.first() {
        blocks.push(format!("run it: {way}"));
    }
    blocks.join("\n")
}

/// Returns the summary of a run that built several images: the layers that these images share.
pub(crate) fn summary_of_all(receipts: &[Receipt]) -> String {
    let mut layers: BTreeMap<BlobDigest, (&Layer, BTreeSet<&str>)> = BTreeMap::new();
    for receipt in receipts {
        for layer in receipt.platforms.iter().flat_map(|platform| &platform.layers) {
            let (_, images) = layers.entry(layer.digest).or_insert_with(|| (layer, BTreeSet::new()));
            images.insert(&receipt.name);
        }
    }
    let all: u64 = layers.values().map(|(layer, _)| layer.size_bytes).sum();
    let shared: Vec<_> = layers.values().filter(|(_, images)| images.len() > 1).collect();
    let mut text = format!("{}: {} of layers", counted(receipts.len(), "image"), megabytes(all));
    if shared.is_empty() {
        return text + ", and no layer is in several images";
    }
    let bytes = shared.iter().map(|(layer, _)| layer.size_bytes).sum();
    let _ = write!(text, ", {} of them in {} of several images", megabytes(bytes), counted(shared.len(), "layer"));
    for (layer, images) in shared {
        let images: Vec<&str> = images.iter().copied().collect();
        line(&mut text, &layer.title, &images.join(", "));
    }
    text
}

/// The summary of a copy.
pub(crate) fn summary_of_copy(request: &CopyRequest, copied: &Copied) -> String {
    let (images, blobs) = (counted(copied.images, "manifest"), counted(copied.blobs, "blob"));
    let mut text = format!("copied {}: {images}, {blobs}, {}", request.source, megabytes(copied.bytes));
    if let Some(referrers) = copied.referrers {
        line(&mut text, "referrers", &referrers.to_string());
    }
    if let Some(platform) = copied.platform {
        line(&mut text, "platform", &platform.to_string());
    }
    if let Some(digest) = copied.source_digest {
        line(&mut text, "note", &format!("the whole image of the source has another digest: {}", digest.0.prefixed()));
    }
    text
}

/// Returns the number and the size of an application's files.
fn application(extent: &AppExtent) -> String {
    let size = match extent.bytes {
        0..1_000 => format!("{} bytes", extent.bytes),
        1_000..1_000_000 => format!("{} kB", extent.bytes / 1_000),
        bytes => megabytes(bytes),
    };
    format!("application: {}, {size}", counted(extent.files, "file"))
}

/// The summary after an engine has built the Dockerfile of `request`.
pub(crate) fn summary_of_engine(request: &Request, receipt: &EngineReceipt) -> String {
    let mut lines = vec![format!(
        "{}: {} unpacked, built with {} in {:.1} s",
        request.output.name,
        megabytes(receipt.size_bytes),
        receipt.program.name(),
        receipt.build.as_secs_f64()
    )];
    if !receipt.checks.is_empty() {
        lines.push(format!("checked: {}", receipt.checks.join(", ")));
    }
    lines.join("\n")
}

fn platform_block(name: &str, receipt: &PlatformReceipt) -> String {
    let mut text = format!(
        "{name} for {}: {} raw, {} compressed, {}",
        receipt.platform,
        megabytes(receipt.files_bytes),
        megabytes(receipt.compressed_bytes),
        counted(receipt.layers.len(), "layer"),
    );
    let origins = receipt.bytes_by_origin.iter().map(|(origin, bytes)| (origin.as_str(), *bytes));
    section(&mut text, "files by origin", &by_size(origins), ORIGINS);
    let (below, own) = receipt.layers.split_at(receipt.base.as_ref().map_or(0, |base| base.layers));
    let title = receipt.base.as_ref().map(|base| format!("base image, {}", counted(base.layers, "layer")));
    let of_base = title.iter().map(|title| (title.as_str(), below.iter().map(|layer| layer.files_bytes).sum()));
    let layers: Vec<(&str, u64)> =
        of_base.chain(own.iter().map(|layer| (layer.title.as_str(), layer.files_bytes))).collect();
    if layers.len() <= LAYERS {
        section(&mut text, "layers, from the bottom", &layers, LAYERS);
    } else {
        section(&mut text, "layers, the largest first", &by_size(layers.into_iter()), ORIGINS);
    }
    let removed = by_size(receipt.removed_bytes_by_reason.iter().map(|(reason, bytes)| (reason.words(), *bytes)));
    let total: u64 = removed.iter().map(|(_, bytes)| bytes).sum();
    if total > 0 {
        section(&mut text, &format!("left out, {} in total", megabytes(total)), &removed, removed.len());
    }
    receipt.next_level.iter().for_each(|next| line(&mut text, "next level", &next_level(next)));
    if let Some(base) = &receipt.base {
        let (own, all) = (megabytes(base.compressed_bytes), megabytes(receipt.compressed_bytes));
        line(&mut text, "built on", &format!("{}, {own} of {all} compressed, {}", base.source, base.digest));
        oddities(base).iter().for_each(|note| line(&mut text, "note", note));
    }
    proof(&mut text, &receipt.checks);
    if !receipt.entrypoint.is_empty() {
        line(&mut text, "runs", &receipt.entrypoint.join(" "));
    }
    receipt.hints.iter().for_each(|hint| line(&mut text, "hint", hint));
    text
}

/// Returns the gain of the next level of trim and its risk, or the reason why it gains little.
fn next_level(next: &NextLevel) -> String {
    let level = next.level.name();
    let gain = match next.removed_bytes {
        0..LEAST_BYTES => "nearly nothing".to_owned(),
        bytes => megabytes(bytes),
    };
    match next.notes.as_slice() {
        [] if next.removed_bytes < LEAST_BYTES => format!("`--trim {level}` would remove {gain} more"),
        [] => format!(
            "`--trim {level}` would remove {gain} more; a module that only your own files name could be missing"
        ),
        notes => format!("{}; it would remove {gain} more", notes.join("; ")),
    }
}

/// Returns one note for each kind of unusual paths in a base image.
fn oddities(base: &BaseReceipt) -> Vec<String> {
    let mut kinds: Vec<(&str, Vec<String>)> = Vec::new();
    for Oddity { path, kind } in &base.oddities {
        // The path is escaped, because it is a text from the image.
        let path = format!("/{}", path.escape_debug());
        match kinds.iter_mut().find(|(words, _)| *words == kind.words()) {
            Some((_, paths)) => paths.push(path),
            None => kinds.push((kind.words(), vec![path])),
        }
    }
    let note = |(words, paths): &(&str, Vec<String>)| format!("the base image has {words}: {}", shortened(paths));
    let mut notes: Vec<String> = kinds.iter().map(note).collect();
    if base.more_oddities > 0 {
        notes.push(format!("{} more unusual paths of the base image are not listed", base.more_oddities));
    }
    notes
}

/// Returns the warnings about a new image. They are shown even if the summary is not.
pub(crate) fn warnings(receipt: &Receipt) -> BTreeSet<String> {
    let failed = receipt.platforms.iter().filter_map(failed_start);
    failed.map(|failed| format!("the program that the image runs fails its check `{}`", failed.command)).collect()
}

/// Returns the check of the image's own program if this check failed. Such a program may still work, because some
/// programs support neither `--version` nor `--help`.
fn failed_start(receipt: &PlatformReceipt) -> Option<&FailedCheck> {
    let (_, name) = receipt.entrypoint.first()?.rsplit_once('/')?;
    let imported =
        || receipt.entrypoint.iter().find_map(|word| receipt.checks.failed_script(&format!("import {word}")));
    receipt.checks.failed_script(name).or_else(imported)
}

/// Adds the result of the proof to `text`.
fn proof(text: &mut String, checks: &ProofSummary) {
    let passed: Vec<String> = checks.passed.iter().map(passed).collect();
    if !passed.is_empty() {
        line(text, "proved", &passed.join(", "));
    }
    let drove: Vec<String> = checks.drove.iter().map(self::passed).collect();
    if !drove.is_empty() {
        line(text, "proved, but also recorded for `trace`", &drove.join(", "));
    }
    checks.not_run.iter().for_each(|reason| line(text, "not proved", &not_run(reason)));
    checks.notes.iter().for_each(|note| line(text, "note", &proof_note(note)));
    for PutBack { path, rule, check } in &checks.put_back {
        line(text, "put back", &format!("`{path}` ({}), because `{check}` needs it", rule.words()));
    }
    checks.failed_alike.iter().for_each(|failed| line(text, "note", &failed_alike(failed)));
}

fn passed(passed: &Passed) -> String {
    match passed {
        Passed::Command { command } => command.clone(),
        Passed::Help { program, subcommands: 0 } => format!("{program} --help"),
        Passed::Help { program, subcommands } => {
            format!("the help of {program} and its {}", counted(*subcommands, "subcommand"))
        }
        Passed::Items { kind: ItemKind::ScriptImports, count } => {
            format!("the imports of {}", counted(*count, "console script"))
        }
        Passed::Items { kind: ItemKind::Modules, count } => format!("the import of {}", counted(*count, "module")),
        Passed::Items { kind: ItemKind::InnerModules, count } => {
            format!("the import of {}", counted(*count, "more module"))
        }
        Passed::Items { kind: ItemKind::ExtensionModules, count } => counted(*count, "extension module"),
        Passed::Items { kind: ItemKind::SharedLibraries, count } => match count {
            1 => "1 shared library".to_owned(),
            _ => format!("{count} shared libraries"),
        },
        Passed::Items { kind: ItemKind::DataFiles, count } => counted(*count, "data file"),
    }
}

fn not_run(reason: &NotRun) -> String {
    match reason {
        NotRun::Unwanted => "the checks (`--no-verify`)".to_owned(),
        NotRun::Foreign { platform, reason } => {
            format!("the checks: this machine does not run {platform}: {reason}")
        }
        NotRun::OutOfTime { checks, limit_secs } => format!(
            "{}: the time for all checks, {limit_secs} s, was over (change it with `--proof-timeout`)",
            shortened(checks)
        ),
    }
}

fn proof_note(note: &ProofNote) -> String {
    match note {
        ProofNote::Restless { command } => {
            format!("`{command}` has another output each time: only its exit code is compared")
        }
        ProofNote::Emulated { platform } => format!(
            "the checks of {platform} ran in an emulator; programs that they started did not run, because the kernel has \
             no registered emulator (binfmt_misc)"
        ),
    }
}

fn failed_alike(failed: &FailedAlike) -> String {
    let commands: Vec<&str> = failed.checks.iter().map(|check| check.command.as_str()).collect();
    let fail = if commands.len() == 1 { "fails" } else { "fail" };
    let mut text = format!("`{}` {fail} in the untrimmed image too: {}", commands.join("`, `"), failed.said);
    if let Some(hint) = &failed.hint {
        let _ = write!(text, "; {hint}");
    }
    text
}

/// Adds a heading and the largest of `rows` to `text`. All other rows, and rows with small amounts, are added up in one
/// line.
fn section(text: &mut String, heading: &str, rows: &[(&str, u64)], most: usize) {
    // Writing to a String cannot fail. The same holds below.
    let _ = write!(text, "\n  {heading}");
    let is_shown = |(index, (_, bytes)): &(usize, &(&str, u64))| *index < most && *bytes >= LEAST_BYTES;
    let (shown, rest): (Vec<_>, Vec<_>) = rows.iter().enumerate().partition(is_shown);
    for (_, (name, bytes)) in shown {
        let _ = write!(text, "\n  {:>9}  {name}", megabytes(*bytes));
    }
    if !rest.is_empty() {
        let bytes = rest.iter().map(|(_, (_, bytes))| bytes).sum();
        let _ = write!(text, "\n  {:>9}  {}", megabytes(bytes), counted(rest.len(), "other"));
    }
}

fn line(text: &mut String, label: &str, words: &str) {
    let _ = write!(text, "\n{label}: {words}");
}

/// Returns the command that runs the image from the place where it was written. `None` for a plain folder.
fn way_to_run(name: &str, destination: &Destination) -> Option<String> {
    match destination {
        Destination::Archive(path) => Some(format!("docker load -i {} && docker run --rm {name}", path.display())),
        Destination::DockerArchive { path, name: own } => {
            let name = own.as_deref().unwrap_or(name);
            Some(format!("docker load -i {} && docker run --rm {name}", path.display()))
        }
        Destination::Daemon(name) => Some(format!("docker run --rm {name}")),
        Destination::Registry(image) => Some(format!("docker run --rm {image}")),
        Destination::Oci { .. } | Destination::OciArchive { .. } => Some(format!("podman run --rm {destination}")),
        Destination::Directory(_) => None,
    }
}

fn by_size<'a>(rows: impl Iterator<Item = (&'a str, u64)>) -> Vec<(&'a str, u64)> {
    let mut sorted: Vec<(&str, u64)> = rows.collect();
    sorted.sort_by_key(|(name, bytes)| (std::cmp::Reverse(*bytes), *name));
    sorted
}

/// `1 layer`, `2 layers`.
fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::options::TrimLevel;

    #[test]
    fn the_next_level_has_its_gain_and_its_risk_or_the_reason_of_a_small_gain() {
        let shown = |removed_bytes, notes: &[&str]| {
            let notes = notes.iter().map(|note| (*note).to_owned()).collect();
            next_level(&NextLevel { level: TrimLevel::Reach, removed_bytes, notes })
        };
        let keeps = "`--trim reach` keeps all modules: `jupyterlab` runs code of its users";
        insta::assert_snapshot!([shown(9_400_000, &[]), shown(1_200_000, &[keeps]), shown(9, &[])].join("\n"), @"
        `--trim reach` would remove 9.4 MB more; a module that only your own files name could be missing
        `--trim reach` keeps all modules: `jupyterlab` runs code of its users; it would remove 1.2 MB more
        `--trim reach` would remove nearly nothing more
        ");
    }
    use crate::model::hint::{Addition, Hint};
    use crate::model::image_path::ImagePath;
    use crate::model::platform::{Architecture, Platform};
    use crate::model::reason::Removed;

    #[test]
    fn what_is_small_or_far_down_is_one_line() {
        let mut text = String::new();
        section(&mut text, "bytes", &[("a", 9_000_000), ("b", 2_000_000), ("c", 1_000_000), ("d", 10)], 2);
        assert_eq!(text, "\n  bytes\n     9.0 MB  a\n     2.0 MB  b\n     1.0 MB  2 others");
    }

    #[test]
    fn the_extent_of_an_application_is_one_line() {
        let of = |files, bytes| application(&AppExtent { files, bytes, largest: Vec::new() });
        assert_eq!(of(1, 999), "application: 1 file, 999 bytes");
        assert_eq!(of(12, 34_567), "application: 12 files, 34 kB");
        assert_eq!(of(2, 12_345_678), "application: 2 files, 12.3 MB");
    }

    #[test]
    fn every_image_that_an_engine_takes_has_a_way_to_run() {
        let way = |to: &str| way_to_run("tool", &to.parse().unwrap());
        assert_eq!(way("tool.tar").unwrap(), "docker load -i tool.tar && docker run --rm tool");
        assert_eq!(way("docker-daemon:x:1").unwrap(), "docker run --rm x:1");
        assert_eq!(way("docker://h.io/x:1").unwrap(), "docker run --rm h.io/x:1");
        assert_eq!(way("dir:root"), None);
    }

    #[test]
    fn every_result_of_a_proof_has_words() {
        let text = str::to_owned;
        let platform = Platform { architecture: Architecture::Arm64 };
        let check = |name: &str| FailedCheck { name: text(name), command: format!("{name} --version") };
        let failed = |checks, hint| FailedAlike { checks, said: text("no sh"), hint };
        let summary = ProofSummary {
            passed: vec![
                Passed::Command { command: text("tool --version") },
                Passed::Items { kind: ItemKind::ScriptImports, count: 1 },
                Passed::Items { kind: ItemKind::Modules, count: 3 },
                Passed::Items { kind: ItemKind::InnerModules, count: 9 },
                Passed::Items { kind: ItemKind::ExtensionModules, count: 2 },
                Passed::Items { kind: ItemKind::DataFiles, count: 4 },
                Passed::Help { program: text("tool"), subcommands: 1 },
                Passed::Help { program: text("flat"), subcommands: 0 },
            ],
            drove: vec![Passed::Command { command: text("other --help") }],
            not_run: vec![
                NotRun::Unwanted,
                NotRun::Foreign { platform, reason: text("no emulator") },
                NotRun::OutOfTime { checks: vec![text("tool")], limit_secs: 9 },
            ],
            failed_alike: vec![
                failed(vec![check("a")], None),
                failed(vec![check("a"), check("b")], Some(Hint::Absent { name: text("sh"), add: Addition::Shell })),
            ],
            notes: vec![ProofNote::Restless { command: text("tool") }, ProofNote::Emulated { platform }],
            put_back: vec![PutBack {
                path: ImagePath::parse("/usr/x").unwrap(),
                rule: Removed::Documentation,
                check: text("tool --version"),
            }],
        };
        let mut words = String::new();
        proof(&mut words, &summary);
        insta::assert_snapshot!(words, @"
    proved: tool --version, the imports of 1 console script, the import of 3 modules, the import of 9 more modules, 2 extension modules, 4 data files, the help of tool and its 1 subcommand, flat --help
    proved, but also recorded for `trace`: other --help
    not proved: the checks (`--no-verify`)
    not proved: the checks: this machine does not run linux/arm64: no emulator
    not proved: `tool`: the time for all checks, 9 s, was over (change it with `--proof-timeout`)
    note: `tool` has another output each time: only its exit code is compared
    note: the checks of linux/arm64 ran in an emulator; programs that they started did not run, because the kernel has no registered emulator (binfmt_misc)
    put back: `/usr/x` (documentation), because `tool --version` needs it
    note: `a --version` fails in the untrimmed image too: no sh
    note: `a --version`, `b --version` fail in the untrimmed image too: no sh; `sh` is not in the image: add it with `--shell`
    ");
    }
}
