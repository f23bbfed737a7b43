//! A comparison as text: a table, bars, and the contents that take more bytes in the larger images.

use crate::present::megabytes::megabytes;
use crate::rivals::model::comparison::{ComparedImage, Comparison};

/// The longest bar, in characters.
const BAR_WIDTH: u64 = 50;
/// The smallest difference that is listed.
const WORTH_TELLING_BYTES: u64 = 50_000;

pub(crate) fn table(comparison: &Comparison) -> String {
    let mut lines = vec![
        format!("{} on {}, {}", comparison.program, comparison.base, comparison.platform),
        String::new(),
        format!(
            "{:8}{:>10} {:>10} {:>8} {:>9} {:>9} {:>9} {:>9}",
            "", "raw", "to pull", "files", "packages", "build", "again", "start"
        ),
    ];
    lines.extend(comparison.images.iter().map(row));
    lines.push(String::new());
    let largest = comparison.images.iter().map(|image| image.raw_bytes).max().unwrap_or(0).max(1);
    lines.extend(comparison.images.iter().map(|image| bar(image, largest)));
    if let Some((smallest, bigger)) = comparison.images.split_last() {
        for image in bigger {
            lines.push(String::new());
            lines.push(format!("contents of {} that {} does not have:", image.way, smallest.way));
            let surplus = image.surplus(smallest).into_iter().filter(|(_, bytes)| *bytes >= WORTH_TELLING_BYTES);
            lines.extend(surplus.map(|(content, bytes)| format!("  {:>9}  {content}", megabytes(bytes))));
        }
    }
    lines.push(String::new());
    if let Some(check) = &comparison.check {
        lines.push(format!("start: time of `{check}` in a container, including the engine's own time"));
    }
    if comparison.images.iter().any(|image| !image.is_measured) {
        lines.push("~ computed from the archive; `--measure` builds the images".to_owned());
    }
    lines.join("\n").trim_end().to_owned()
}

fn row(image: &ComparedImage) -> String {
    let mark = if image.is_measured { "" } else { "~" };
    let shown = |bytes| format!("{mark}{}", megabytes(bytes));
    let seconds = |ms: Option<u64>| {
        ms.map_or_else(|| "-".to_owned(), |ms| format!("{}.{} s", (ms + 50) / 1000, (ms + 50) % 1000 / 100))
    };
    format!(
        "{:8}{:>10} {:>10} {:>8} {:>9} {:>9} {:>9} {:>9}",
        image.way.to_string(),
        shown(image.raw_bytes),
        shown(image.compressed_bytes),
        format!("{mark}{}", image.files),
        image.debian_packages + image.distributions,
        seconds(image.build.map(|times| times.uncached_ms)),
        seconds(image.build.map(|times| times.cached_ms)),
        image.start_ms.map_or_else(|| "-".to_owned(), |ms| format!("{ms} ms")),
    )
}

/// Draws a bar of the raw size. The part that shows the compressed size is darker.
fn bar(image: &ComparedImage, largest: u64) -> String {
    let width = |bytes: u64| usize::try_from((bytes * BAR_WIDTH).div_ceil(largest)).unwrap_or(0);
    let (whole, pulled) = (width(image.raw_bytes), width(image.compressed_bytes));
    let light = "▒".repeat(whole.saturating_sub(pulled));
    format!("{:8}{}{light} {}", image.way.to_string(), "█".repeat(pulled), megabytes(image.raw_bytes))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::rivals::model::comparison::{AptHabits, BuildTimes, Content, Way};

    /// A comparison of two images. The smaller one is measured.
    pub(in crate::present) fn comparison() -> Comparison {
        let fat = ComparedImage {
            way: Way::Fat,
            is_measured: false,
            raw_bytes: 913_000_000,
            compressed_bytes: 404_000_000,
            files: 21_000,
            debian_packages: 200,
            distributions: 10,
            contents: [(Content::Compilers, 800_000_000), (Content::Pip, 12_345_678), (Content::Program, 21_000_000)]
                .into(),
            build: None,
            start_ms: None,
        };
        let lath = ComparedImage {
            way: Way::Lath,
            is_measured: true,
            raw_bytes: 50_000_000,
            compressed_bytes: 19_000_000,
            files: 2_000,
            debian_packages: 15,
            distributions: 10,
            contents: [(Content::Python, 29_000_000), (Content::Program, 21_000_000)].into(),
            build: Some(BuildTimes { uncached_ms: 3_210, cached_ms: 190 }),
            start_ms: Some(412),
        };
        Comparison {
            program: "pre-commit 4.7.0".to_owned(),
            base: "debian:trixie".to_owned(),
            platform: "linux/amd64".to_owned(),
            habits: AptHabits::Official,
            check: Some("pre-commit --version".to_owned()),
            images: vec![fat, lath],
        }
    }

    #[test]
    fn a_comparison_reads_as_a_table() {
        insta::assert_snapshot!(table(&comparison()), @"
        pre-commit 4.7.0 on debian:trixie, linux/amd64

                       raw    to pull    files  packages     build     again     start
        fat      ~913.0 MB  ~404.0 MB   ~21000       210         -         -         -
        lath       50.0 MB    19.0 MB     2000        25     3.2 s     0.2 s    412 ms

        fat     ███████████████████████▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒ 913.0 MB
        lath    ██▒ 50.0 MB

        contents of fat that lath does not have:
           800.0 MB  compilers
            12.3 MB  pip

        start: time of `pre-commit --version` in a container, including the engine's own time
        ~ computed from the archive; `--measure` builds the images
        ");
    }
}
