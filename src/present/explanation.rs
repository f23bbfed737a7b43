//! The explanation of an image as text: a table of its packages, and answers with their chains.

use crate::model::explanation::{Answer, Chain, Edge, Fate, Inside, PackageAnswer, PathAnswer, Row, Table};
use crate::model::tree::Origin;
use crate::present::megabytes::megabytes;

/// Returns the table of the packages.
pub(crate) fn table(table: &Table) -> String {
    let mut lines = vec![
        format!(
            "{} for {}: {} of files; trim removed {}",
            table.name,
            table.platform,
            size(table.size_bytes),
            size(table.removed_bytes)
        ),
        String::new(),
        format!("{:>11} {:>11} {:>11} {:>7}  {}", "size", "removed", "if left out", "paths", "package"),
    ];
    lines.extend(table.packages.iter().map(row));
    lines.push(String::new());
    lines.push("if left out: the bytes that go without it, with everything that only it requires".to_owned());
    lines.join("\n")
}

fn row(row: &Row) -> String {
    let alone = row.alone_bytes.map_or_else(|| "-".to_owned(), size);
    let (own, removed, package) = (size(row.size_bytes), size(row.removed_bytes), origin(&row.package));
    format!("{own:>11} {removed:>11} {alone:>11} {:>7}  {package}", row.files)
}

/// Returns the answers, one after the other.
pub(crate) fn answers(answers: &[Answer]) -> String {
    let texts: Vec<String> = answers
        .iter()
        .map(|answer| match answer {
            Answer::Package(answer) => of_package(answer),
            Answer::Module(answer) => {
                let files: Vec<String> = answer.files.iter().map(of_path).collect();
                format!("module {}\n\n{}", answer.module, files.join("\n\n"))
            }
            Answer::Path(answer) => of_path(answer),
        })
        .collect();
    texts.join("\n\n")
}

fn of_package(answer: &PackageAnswer) -> String {
    let mut lines = vec![
        origin(&answer.package),
        format!("  {} in {} paths; trim removed {}", size(answer.size_bytes), answer.files, size(answer.removed_bytes)),
    ];
    if let Some(bytes) = answer.alone_bytes {
        lines.push(format!("  without it and everything that only it requires, the image has {} less", size(bytes)));
    }
    lines.extend(chains(&answer.chains, answer.more_chains));
    lines.join("\n")
}

fn of_path(answer: &PathAnswer) -> String {
    let mut lines = vec![answer.path.to_string(), format!("  {}, {}", size(answer.size_bytes), origin(&answer.origin))];
    if let Some(Inside { paths, size_bytes, removed_paths, removed_bytes }) = answer.inside {
        let (kept, removed) = (size(size_bytes), size(removed_bytes));
        lines.push(format!("  in this folder: {paths} paths, {kept}; trim removed {removed_paths} paths, {removed}"));
    }
    match &answer.fate {
        Fate::Kept { symbol_bytes, chains: found, more_chains, .. } => {
            if *symbol_bytes > 0 {
                let bytes = size(*symbol_bytes);
                lines.push(format!("  trim removed {bytes} of symbols and debug information (symbols)"));
                lines.push(format!("  with them: `--keep {}`", answer.path));
            }
            lines.extend(chains(found, *more_chains));
        }
        Fate::Removed { rule, kept_by } => {
            lines.push(format!("  removed: {} ({})", rule.words(), rule.id()));
            lines.push(format!("  kept by `{kept_by}`"));
        }
    }
    lines.join("\n")
}

/// Returns the lines of all chains, with an empty line between two chains.
fn chains(chains: &[Chain], are_more: bool) -> Vec<String> {
    let mut lines = Vec::new();
    for (place, chain) in chains.iter().enumerate() {
        if place > 0 {
            lines.push(String::new());
        }
        lines.extend(chain.iter().map(|edge| format!("  {}", words(edge))));
    }
    if are_more {
        lines.extend([String::new(), format!("  there are more chains; the {} shortest are shown", chains.len())]);
    }
    lines
}

fn words(edge: &Edge) -> String {
    match edge {
        Edge::FileOf { module } => format!("the file of the module `{module}`"),
        Edge::PackageOf { module } => format!("the package that contains `{module}`"),
        Edge::ImportedBy { module } => format!("imported by `{module}`"),
        Edge::BesideUnread { module } => {
            format!("may be imported by `{module}` of the same distribution, whose file cannot be read")
        }
        Edge::ComputedBy { module } => format!("may be imported by `{module}`, which computes names"),
        Edge::NamedInTextOf { module } => format!("named in a text of `{module}`"),
        Edge::NeededBy { path } => format!("needed by {path}"),
        Edge::NamedInFilesOf { package } => format!("named in files of {package}"),
        Edge::FileIn { package } => format!("a file of {package}"),
        Edge::RequiredBy { package } => format!("required by {package}"),
        Edge::LinkedBy { package, soname } => format!("contains `{soname}`, which {package} links against"),
        Edge::RunByScriptsOf { package } => format!("run by scripts of {package}"),
        Edge::Requested => "requested".to_owned(),
        Edge::With { package } => format!("requested by `--with {package}`"),
        Edge::EveryImage { why } => format!("in every image: {why}"),
        Edge::ConsoleScript { script } => format!("started by the console script `{script}`"),
        Edge::Command => "started by the command of the image".to_owned(),
        Edge::KeepModule { module } => format!("kept by `--keep-module {module}`"),
        Edge::EveryProgram => "every program of Python may need it".to_owned(),
        Edge::Root => "users of the image can start or import it".to_owned(),
        Edge::Kept { reason } => format!("kept: {reason}"),
    }
}

fn origin(origin: &Origin) -> String {
    match origin {
        Origin::Deb { version, .. } | Origin::Wheel { version, .. } => format!("{origin} {version}"),
        Origin::Base | Origin::Lath | Origin::User | Origin::Application => origin.to_string(),
    }
}

/// Returns a number of bytes as text, in bytes, kB or MB.
fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => {
            let tenths = (bytes + 50) / 100;
            format!("{}.{} kB", tenths / 10, tenths % 10)
        }
        _ => megabytes(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::explanation::example;

    #[test]
    fn the_packages_are_a_table() {
        insta::assert_snapshot!(table(&example().table()), @"
        tool for linux/amd64: 6.2 MB of files; trim removed 18.0 kB

               size     removed if left out   paths  package
             6.0 MB     0 bytes           -       2  deb python3 2
           150.0 kB     0 bytes    150.0 kB       1  deb libyaml 2
            43.0 kB      9.0 kB    193.0 kB       2  wheel yaml 1
             1.2 kB     0 bytes    194.3 kB       4  wheel tool 1
          100 bytes     0 bytes   100 bytes       1  wheel loader 1
           10 bytes     0 bytes           -       1  lath
            0 bytes      9.0 kB           -       0  deb libc6 2

        if left out: the bytes that go without it, with everything that only it requires
        ");
    }

    #[test]
    fn answers_have_their_chains() {
        let explanation = example();
        let shown = |name: &str| answers(&explanation.answers(name, true));
        let names =
            ["yaml", "/usr/lib/libyaml.so.0", "/site/yaml/cyaml.py", "/etc/passwd", "/usr/share/doc/libc6/copyright"];
        insta::assert_snapshot!(names.map(shown).join("\n\n"), @"
        wheel yaml 1
          43.0 kB in 2 paths; trim removed 9.0 kB
          without it and everything that only it requires, the image has 193.0 kB less
          required by wheel tool
          requested

          required by wheel loader
          required by wheel tool
          requested

        module yaml

        /site/yaml/__init__.py
          3.0 kB, wheel yaml 1
          the file of the module `yaml`
          imported by `loader`
          imported by `tool.main`
          started by the console script `tool`

          the file of the module `yaml`
          imported by `tool`
          the package that contains `tool.main`
          started by the console script `tool`

          there are more chains; the 2 shortest are shown

        /usr/lib/libyaml.so.0
          150.0 kB, deb libyaml 2
          needed by /site/yaml/_yaml.so
          a file of wheel yaml
          required by wheel tool
          requested

          needed by /site/yaml/_yaml.so
          a file of wheel yaml
          required by wheel loader
          required by wheel tool
          requested

        /site/yaml/cyaml.py
          4.0 kB, wheel yaml 1
          removed: modules that no program of the image can import (unreached-modules)
          kept by `--keep-module yaml.cyaml`

        /etc/passwd
          10 bytes, lath
          kept: in every image

        /usr/share/doc/libc6/copyright
          9.0 kB, deb libc6 2
          removed: documentation (documentation)
          kept by `--keep /usr/share/doc/libc6/copyright`
        ");
    }

    #[test]
    fn amounts_have_a_unit_that_suits_them() {
        let table = [(0, "0 bytes"), (999, "999 bytes"), (1_000, "1.0 kB"), (12_349, "12.3 kB"), (1_000_000, "1.0 MB")];
        for (bytes, text) in table {
            assert_eq!(size(bytes), text);
        }
    }
}
