//! Compares the results of both trees, and describes a difference.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::libraries::missing_libraries;
use super::missing::{Image, lacks, missing};
use crate::model::hint::{Hint, ProofHint};
use crate::model::image_path::ImagePath;
use crate::model::reason::Removed;
use crate::model::receipt::PutBack;
use crate::model::tree::Tree;

/// The result of one check in one tree.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Answer {
    /// The command, as a person would type it.
    pub(super) command: String,
    pub(super) exit_code: i32,
    pub(super) stdout: String,
    pub(super) stderr: String,
    /// The time limit, if the command exceeded it.
    pub(super) timeout_secs: Option<u64>,
    /// If the check consists of several commands, the results of these commands.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) parts: Vec<Answer>,
}

impl Answer {
    /// Whether two trees, or two runs in one tree, give the same result. If both exceeded the same time limit, their
    /// output is not compared.
    fn agrees(&self, other: &Self) -> bool {
        let is_timeout = self.timeout_secs.is_some() && self.timeout_secs == other.timeout_secs;
        self.command == other.command && (is_timeout || self == other)
    }

    fn ended(&self) -> String {
        match self.timeout_secs {
            Some(secs) => format!("no end within {secs} s"),
            None => format!("exit code {}", self.exit_code),
        }
    }

    pub(super) fn said(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    /// Returns the last line of the output, because it usually has the most information.
    pub(super) fn last_line(&self) -> String {
        let said = if self.stderr.trim().is_empty() { &self.stdout } else { &self.stderr };
        said.trim().lines().last().map_or_else(|| self.ended(), str::to_owned)
    }
}

/// The reply of one tree to a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reply {
    Answer(Answer),
    /// The check did not run, because the time for all checks was over.
    NotRun,
}

/// The results of one check in both trees.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pair<'a> {
    pub(super) slim: &'a Answer,
    pub(super) whole: &'a Answer,
}

/// The verdict on a check.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Passed,
    /// The results of the check differ from run to run, so only exit codes were compared.
    Restless,
    /// The check fails in the same way in both trees.
    FailsAlike,
    Differs(Difference),
}

/// A check that the image fails: the result that the check should have, and the result that it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Difference {
    check: String,
    /// The result that the check should have. `None` if the check had to succeed, but failed in the untrimmed tree,
    /// too.
    claimed: Option<Box<Answer>>,
    found: Box<Answer>,
    /// The removed paths that the output contains, each with the reason.
    removed: Vec<(ImagePath, Removed)>,
    /// A hint, if something is missing in both trees.
    hint: Option<Hint>,
    /// The removed files whose absence changes the result.
    lacks: Vec<PutBack>,
}

impl Difference {
    /// Returns the libraries that the output reports as missing. Empty if the output reports anything else as missing.
    pub(super) fn libraries(&self) -> Vec<String> {
        if self.hint.is_some() || !self.removed.is_empty() {
            return Vec::new();
        }
        self.found.said().lines().flat_map(missing_libraries).collect()
    }

    pub(super) fn check(&self) -> &str {
        &self.check
    }

    /// Returns the result that the check should have. `None` if the check had to succeed, but failed in the untrimmed
    /// tree, too.
    pub(super) fn claimed(&self) -> Option<&Answer> {
        self.claimed.as_deref()
    }

    /// Whether the check exceeded its time limit in the trimmed tree.
    pub(super) fn is_timeout(&self) -> bool {
        self.found.timeout_secs.is_some()
    }

    /// Returns the removed paths that are named in the output.
    pub(super) fn named(&self) -> Vec<ImagePath> {
        self.removed.iter().map(|(path, _)| path.clone()).collect()
    }

    pub(super) fn lacks(&self) -> &[PutBack] {
        &self.lacks
    }

    pub(super) fn add_lacks(&mut self, lacks: Vec<PutBack>) {
        self.lacks = lacks;
    }

    pub(super) fn add_hint(&mut self, hint: Option<Hint>) {
        self.hint = self.hint.take().or(hint);
    }
}

/// Compares the result in the `slim` tree with the result in the `whole` tree. `again` runs the check once more: with
/// `true` in the slim tree, with `false` in the whole tree.
pub(super) fn judge<E>(
    must: bool,
    Pair { slim, whole }: Pair<'_>,
    image: Image<'_>,
    mut again: impl FnMut(bool) -> Result<Answer, E>,
) -> Result<Verdict, E> {
    let differs = |slim: &Answer, claimed: Option<&Answer>| {
        let (slim, claimed) = narrowed(slim, claimed);
        let removed = removed(&slim.said(), image.tree);
        let hint = missing(&slim.said(), image).and_then(|missing| missing.hint);
        let (check, claimed) = (slim.command.clone(), claimed.cloned().map(Box::new));
        Verdict::Differs(Difference { check, claimed, found: Box::new(slim.clone()), removed, hint, lacks: Vec::new() })
    };
    // If a check that must succeed exceeds its time limit, it runs once more, because the machine may have been busy.
    let unhurried = if must && slim.timeout_secs.is_some() { Some(again(true)?) } else { None };
    let slim = unhurried.as_ref().unwrap_or(slim);
    if must && slim.exit_code != 0 {
        let claimed = Some(whole).filter(|whole| whole.exit_code == 0);
        return Ok(differs(slim, claimed));
    }
    let agreed = |answer: &Answer| if answer.exit_code == 0 { Verdict::Passed } else { Verdict::FailsAlike };
    if slim.agrees(whole) {
        return Ok(agreed(slim));
    }
    let slim_again = again(true)?;
    if slim_again.agrees(whole) {
        return Ok(agreed(whole));
    }
    let whole_again = again(false)?;
    if slim.agrees(&whole_again) {
        return Ok(agreed(slim));
    }
    let is_restless = !slim.agrees(&slim_again) || !whole.agrees(&whole_again);
    let is_same = is_alike(slim, whole) || is_alike(&slim_again, &whole_again);
    if is_restless && is_same && !differs_steadily([slim, &slim_again], [whole, &whole_again]) {
        return Ok(Verdict::Restless);
    }
    Ok(differs(slim, Some(whole)))
}

/// Whether the outputs of the two trees differ, although each tree gives the same output in both runs. Words with
/// digits in the output are ignored.
fn differs_steadily(slim: [&Answer; 2], whole: [&Answer; 2]) -> bool {
    let [slim, slim_again] = slim.map(without_numbers);
    let [whole, whole_again] = whole.map(without_numbers);
    slim == slim_again && whole == whole_again && slim != whole
}

/// Returns the result without the words in its output that contain digits, such as times, addresses and the names of
/// temporary files.
fn without_numbers(answer: &Answer) -> Answer {
    let is_of_word = |c: char| c.is_alphanumeric() || c == '_';
    let shortened = |text: &str| {
        let words = text.split_inclusive(|c| !is_of_word(c));
        let is_kept = |word: &&str| !word.contains(|c: char| c.is_ascii_digit());
        words.filter(is_kept).collect::<String>()
    };
    let parts = answer.parts.iter().map(without_numbers).collect();
    Answer { stdout: shortened(&answer.stdout), stderr: shortened(&answer.stderr), parts, ..answer.clone() }
}

/// Whether two results have the same commands and the same exit codes.
pub(super) fn is_alike(one: &Answer, other: &Answer) -> bool {
    let parts = || one.parts.iter().zip(&other.parts);
    one.exit_code == other.exit_code
        && one.command == other.command
        && one.parts.len() == other.parts.len()
        && parts().all(|(one, other)| is_alike(one, other))
}

/// Returns the first part whose result differs, as a pair: its result in each tree. If no part differs, returns the
/// whole results.
fn narrowed<'a>(slim: &'a Answer, claimed: Option<&'a Answer>) -> (&'a Answer, Option<&'a Answer>) {
    let Some(whole) = claimed else { return (slim, claimed) };
    let of_whole = |part: &Answer| whole.parts.iter().find(|other| other.command == part.command);
    let mut pairs = slim.parts.iter().filter_map(|part| Some((part, of_whole(part)?)));
    pairs.find(|(part, other)| part != other).map_or((slim, claimed), |(part, other)| (part, Some(other)))
}

/// Returns the removed files that the output of a check names. Only the first command with another result than in
/// `claim` counts.
pub(super) fn names_of_removed(answer: &Answer, claim: &Answer, tree: &Tree) -> impl Iterator<Item = ImagePath> {
    let (answer, _) = narrowed(answer, Some(claim));
    removed(&answer.said(), tree).into_iter().map(|(path, _)| path)
}

/// Returns the removed paths that are named in the output. The output may contain the path, the name of a library or
/// another file, a module, or a program that was called.
fn removed(said: &str, tree: &Tree) -> Vec<(ImagePath, Removed)> {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '/' | '.' | '_' | '-' | '+' | '@' | '~');
    let mut words: Vec<&str> = said
        .split(|c: char| !is_part(c))
        .map(|word| word.trim_end_matches('.'))
        .filter(|word| word.len() > 3)
        .collect();
    words.sort_unstable();
    words.dedup();
    let words: Vec<Word<'_>> = words.into_iter().map(|word| Word::of(word, said)).collect();
    let is_called = |path: &str| {
        let program = path.strip_prefix("/usr/bin/").or_else(|| path.strip_prefix("/usr/sbin/"));
        program.is_some_and(|program| lacks(said, program))
    };
    let is_named = |path: &str| words.iter().any(|word| word.names(path)) || is_called(path);
    tree.removed
        .iter()
        .filter(|(path, _)| is_named(path.as_str()))
        .map(|(path, removal)| (path.clone(), removal.reason))
        .collect()
}

/// A word in an output, and the ends of the paths that it can name.
struct Word<'a> {
    text: &'a str,
    is_library: bool,
    /// `/a/b.py`, if the word can be the name of a module.
    module: Option<String>,
    /// `/a/b/__init__.py`, if the word is in quotes.
    package: Option<String>,
}

impl<'a> Word<'a> {
    fn of(text: &'a str, said: &str) -> Self {
        let is_quoted = said.contains(&format!("'{text}'"));
        let is_dotted = text.contains('.') && !text.contains('/');
        let path = text.replace('.', "/");
        Self {
            text,
            is_library: text.contains(".so"),
            module: (is_quoted || is_dotted).then(|| format!("/{path}.py")),
            package: is_quoted.then(|| format!("/{path}/__init__.py")),
        }
    }

    fn names(&self, path: &str) -> bool {
        let ends = [&self.module, &self.package];
        path == self.text
            || (self.is_library && path.rsplit('/').next() == Some(self.text))
            || ends.into_iter().flatten().any(|end| path.ends_with(end.as_str()))
    }
}

impl Difference {
    /// Returns hints: to keep the removed paths, and to add the program or module that is missing in both trees.
    pub(super) fn hints(&self) -> Vec<Hint> {
        let keep = |(path, _): &(ImagePath, Removed)| Hint::Proof(ProofHint::Keep { path: path.to_string() });
        self.removed.iter().map(keep).chain(self.hint.clone()).collect()
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.claimed, self.found.timeout_secs) {
            (Some(claimed), _) => {
                write!(f, "the check `{}` has another result than in the untrimmed image", self.check)?;
                write!(f, "\n  untrimmed: {}{}", claimed.ended(), quoted(claimed))?;
                write!(f, "\n  trimmed: {}{}", self.found.ended(), quoted(&self.found))?;
            }
            (None, Some(secs)) => {
                write!(f, "the check `{}` did not end within {secs} s{}", self.check, quoted(&self.found))?;
            }
            (None, None) => {
                let code = self.found.exit_code;
                write!(f, "the check `{}` ended with exit code {code}{}", self.check, quoted(&self.found))?;
            }
        }
        for (path, reason) in &self.removed {
            write!(f, "\n  removed: `{path}` ({reason})")?;
        }
        Ok(())
    }
}

/// Returns the last lines of the output.
fn quoted(answer: &Answer) -> String {
    const LINES: usize = 20;
    let said = answer.said();
    let lines: Vec<&str> = said.trim_end().lines().collect();
    lines[lines.len().saturating_sub(LINES)..].iter().map(|line| format!("\n    | {line}")).collect()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::digest::Digest;
    use crate::model::image_path::ImagePath;
    use crate::model::platform::PythonVersion;
    use crate::model::tree::{Node, Origin};

    const IMAGE: Image<'static> = Image {
        tree: &Tree { nodes: BTreeMap::new(), removed: BTreeMap::new() },
        python: PythonVersion { major: 3, minor: 13 },
    };

    fn answer(exit_code: i32, stdout: &str) -> Answer {
        Answer { command: "tool --version".to_owned(), exit_code, stdout: stdout.to_owned(), ..Answer::default() }
    }

    /// The verdict on two results. If a check runs once more, the trees give `slim_again` and `whole_again`.
    fn verdict(slim: &Answer, whole: &Answer, slim_again: &Answer, whole_again: &Answer) -> Verdict {
        let again = |is_slim| Ok::<_, ()>(if is_slim { slim_again.clone() } else { whole_again.clone() });
        judge(false, Pair { slim, whole }, IMAGE, again).unwrap()
    }

    #[test]
    fn trees_that_agree_are_not_asked_twice() {
        let asked = Cell::new(0);
        let again = |_| {
            asked.set(asked.get() + 1);
            Ok::<_, ()>(Answer::default())
        };
        let (fine, broken) = (answer(0, "1.0"), answer(1, "no"));
        assert_eq!(judge(false, Pair { slim: &fine, whole: &fine }, IMAGE, again), Ok(Verdict::Passed));
        assert_eq!(judge(false, Pair { slim: &broken, whole: &broken }, IMAGE, again), Ok(Verdict::FailsAlike));
        assert_eq!(asked.get(), 0);
    }

    #[test]
    fn what_differs_from_itself_is_compared_by_exit_code() {
        let [first, second, third, fourth] = ["0x1", "0x2", "0x3", "0x4"].map(|text| answer(0, text));
        assert_eq!(verdict(&first, &second, &third, &fourth), Verdict::Restless);
        // Without the words with digits, each tree has the same output every time.
        let [slim, whole, slim_again, whole_again] =
            ["at 0x1 in 3 ms", "at 0x2 in 4 ms with colours", "at 0x3 in 5 ms", "at 0x4 in 6 ms with colours"]
                .map(|text| answer(0, text));
        assert!(matches!(verdict(&slim, &whole, &slim_again, &whole_again), Verdict::Differs(_)));
        assert_eq!(
            verdict(&slim, &slim_again, &answer(0, "at 0x9 in 9 ms"), &answer(0, "at 0xa in 1 ms")),
            Verdict::Restless
        );
        let broken = answer(1, "Traceback");
        assert!(matches!(verdict(&broken, &first, &broken, &second), Verdict::Differs(_)));
        // This command was slow in one of the runs.
        let slow = Answer { exit_code: 137, timeout_secs: Some(20), ..answer(137, "") };
        assert_eq!(verdict(&slow, &first, &first, &first), Verdict::Passed);
    }

    #[test]
    fn what_differs_for_good_is_a_difference() {
        let (slim, whole) = (answer(0, "1.0 without colours"), answer(0, "1.0"));
        let Verdict::Differs(difference) = verdict(&slim, &whole, &slim, &whole) else { panic!("no difference") };
        assert_eq!(
            difference.to_string(),
            "the check `tool --version` has another result than in the untrimmed image\n  untrimmed: exit code 0\n    | 1.0\n  \
             trimmed: exit code 0\n    | 1.0 without colours"
        );
        // A result of `--help` does not agree with a result of `--version`.
        let help = Answer { command: "tool --help".to_owned(), ..answer(0, "1.0") };
        assert!(matches!(verdict(&help, &whole, &help, &whole), Verdict::Differs(_)));
    }

    #[test]
    fn two_that_do_not_end_agree_however_far_they_came() {
        let [one, other] = ["1", "12"].map(|text| Answer { timeout_secs: Some(20), ..answer(137, text) });
        assert_eq!(verdict(&one, &other, &one, &other), Verdict::FailsAlike);
    }

    #[test]
    fn what_must_succeed_fails_though_the_untrimmed_tree_fails_too() {
        let again = |_| Ok::<_, ()>(Answer::default());
        let broken = answer(2, "no such file\n");
        let verdict = judge(true, Pair { slim: &broken, whole: &broken }, IMAGE, again).unwrap();
        let Verdict::Differs(difference) = verdict else { panic!("passed") };
        assert_eq!(difference.to_string(), "the check `tool --version` ended with exit code 2\n    | no such file");
    }

    #[test]
    fn what_must_succeed_is_given_its_time_twice() {
        let slow = Answer { timeout_secs: Some(20), ..answer(137, "") };
        let fine = answer(0, "1.0");
        let judged = |second: &Answer| {
            let again = |_| Ok::<_, ()>(second.clone());
            judge(true, Pair { slim: &slow, whole: &fine }, IMAGE, again).unwrap()
        };
        assert_eq!(judged(&fine), Verdict::Passed);
        assert!(matches!(judged(&slow), Verdict::Differs(_)));
    }

    #[test]
    fn a_removed_path_is_known_by_its_path_its_librarys_name_or_its_module() {
        let mut tree = Tree::default();
        for path in [
            "/usr/bin/nohup",
            "/usr/share/x/data.json",
            "/usr/lib/libz.so.1",
            "/usr/lib/python3.13/test/support.py",
            "/usr/y",
        ] {
            let path = ImagePath::parse(path).unwrap();
            tree.insert(path.clone(), Node::file(Digest::of(b"x"), 1, 0o644, Origin::Lath));
            tree.remove(&path, Removed::Documentation);
        }
        let table = [
            ("[Errno 2] No such file or directory: '/usr/share/x/data.json'", "/usr/share/x/data.json"),
            ("FileNotFoundError: [Errno 2] No such file or directory: 'nohup'", "/usr/bin/nohup"),
            ("libz.so.1: cannot open shared object file: No such file", "/usr/lib/libz.so.1"),
            ("ModuleNotFoundError: No module named 'test.support'", "/usr/lib/python3.13/test/support.py"),
        ];
        for (said, path) in table {
            assert_eq!(removed(said, &tree), [(ImagePath::parse(path).unwrap(), Removed::Documentation)], "{said}");
        }
        assert_eq!(removed("Exit: nothing of the kind", &tree), []);
    }
}
