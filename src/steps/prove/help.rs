//! `--help` of a program and of its subcommands. The subcommands are found in the help itself.
//!
//! One process imports the program, and then forks for each subcommand, so that the imports are done only once.

use std::collections::BTreeSet;

use super::compare::Answer;

/// The help of at most this number of commands is compared for each program.
const MOST: usize = 64;
/// The maximum depth of subcommands: 2 means subcommands of subcommands.
const DEPTH: usize = 2;

/// The time limit of the process that runs all commands of one depth.
pub(super) const HELP_SECS: u64 = 60;

/// Arguments: the entry point, the path of the program, and the commands, each with its words separated by spaces.
/// Reports each command as `NUMBER EXIT_CODE OUTPUT`, with the output in hexadecimal digits. The driver ends a command
/// that does not end within some seconds. If the output of a command exceeds a limit, the rest is discarded.
pub(super) const DRIVER: &str = r#"
import _signal, operator, os, sys
entry, program, *commands = sys.argv[1:]
sys.path[:1] = [] if sys.path[:1] == [""] else sys.path[:1]
sys.argv[:] = [program]
out = os.dup(1)
null = os.open(os.devnull, os.O_WRONLY)
os.dup2(null, 1)
os.dup2(null, 2)
def run():
    try:
        sys.exit(function())
    except SystemExit as ended:
        if ended.code is None or isinstance(ended.code, int):
            return ended.code or 0
        print(ended.code, file=sys.stderr)
    except BaseException as error:
        sys.excepthook(type(error), error, error.__traceback__)
    return 1
function, failed = None, ""
try:
    module, _, attribute = entry.partition(":")
    function = operator.attrgetter(attribute)(__import__(module, fromlist=[attribute.partition(".")[0]]))
except BaseException as error:
    failed = f"{type(error).__name__}: {error}"
for number, command in enumerate(commands):
    if failed:
        code, said = 1, failed.encode(errors="replace")
    else:
        file = os.memfd_create("output")
        child = os.fork()
        if child == 0:
            os.dup2(file, 1)
            os.dup2(file, 2)
            sys.argv[:] = [program, *command.split(), "--help"]
            _signal.signal(_signal.SIGALRM, _signal.SIG_DFL)
            _signal.alarm(10)
            code = run()
            for stream in (sys.stdout, sys.stderr):
                try:
                    stream.flush()
                except Exception:
                    pass
            os._exit(code & 255)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        said = os.pread(file, 1 << 14, 0)
        os.close(file)
    os.write(out, f"{number} {code} {said.hex()}\n".encode())
os._exit(0)
"#;

/// The program, and the function that is called by its console script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Help {
    pub(super) name: String,
    /// The command of the driver, to which the commands are added: Python and its arguments.
    pub(super) driver: Vec<String>,
    /// The user as whom the program runs. `None` is the user of the image.
    pub(super) user: Option<u32>,
    pub(super) timeout_secs: u64,
}

impl Help {
    /// Runs the program with `--help`, then all subcommands that this help names, and then all subcommands that their
    /// help names. `run` runs commands in one process, and returns the output of the driver. Returns `None` if a
    /// process did not end within its time limit.
    pub(super) fn walk<E>(
        &self,
        mut run: impl FnMut(Vec<String>) -> Result<Option<Answer>, E>,
    ) -> Result<Option<Answer>, E> {
        let mut parts: Vec<Answer> = Vec::new();
        let mut known = BTreeSet::new();
        let mut commands = vec![String::new()];
        for _ in 0..=DEPTH {
            let argv = self.driver.iter().chain(&commands).cloned().collect();
            let Some(output) = run(argv)? else { return Ok(None) };
            let mut next = Vec::new();
            for (number, command) in commands.iter().enumerate() {
                let Some(part) = self.part(&output, number, command) else { return Ok(None) };
                // If a word is not a subcommand, many programs print the help of the whole program once more. So help
                // that was already seen is left out.
                if parts.iter().any(|other| other.stdout == part.stdout) {
                    continue;
                }
                if part.exit_code == 0 {
                    next.extend(subcommands(&self.name, command, &part.stdout));
                }
                parts.push(part);
            }
            next.retain(|command| known.insert(command.clone()));
            next.truncate(MOST.saturating_sub(parts.len()));
            commands = next;
            if commands.is_empty() {
                break;
            }
        }
        let exit_code = parts.first().map_or(1, |part| part.exit_code);
        Ok(Some(Answer { command: format!("{} --help", self.name), exit_code, parts, ..Answer::default() }))
    }

    /// Returns the result of the command with the given number.
    fn part(&self, output: &Answer, number: usize, command: &str) -> Option<Answer> {
        let mut lines = output.stdout.lines().map(|line| line.splitn(3, ' '));
        let mut words = lines.find(|words| words.clone().next().and_then(|word| word.parse().ok()) == Some(number))?;
        let exit_code = words.nth(1)?.parse().ok()?;
        let stdout = String::from_utf8_lossy(&hex::decode(words.next()?).ok()?).into_owned();
        let words: Vec<&str> = [self.name.as_str(), command, "--help"].into_iter().filter(|w| !w.is_empty()).collect();
        Some(Answer { command: words.join(" "), exit_code, stdout, ..Answer::default() })
    }
}

/// Returns the subcommands that the help of `command` of `program` names, each with all of its words. The help may be
/// made by argparse, click, typer, docopt, cleo or the program itself. The result may contain words that are not
/// subcommands.
fn subcommands(program: &str, command: &str, help: &str) -> Vec<String> {
    let mut found: Vec<String> = choices(help).into_iter().chain(usage(program, command, help)).collect();
    found.extend(sections(help));
    let mut own = Vec::new();
    for name in found {
        let name = name.strip_prefix(&format!("{program} ")).unwrap_or(&name);
        // Some programs list a subcommand together with the words of `command`.
        let inside = name.strip_prefix(command).and_then(|rest| rest.strip_prefix(' ')).unwrap_or(name);
        let whole = if command.is_empty() { inside.to_owned() } else { format!("{command} {inside}") };
        if inside != "help" && !own.contains(&whole) {
            own.push(whole);
        }
    }
    own
}

/// Returns the names in braces, as argparse writes them, unless they are the choices of an option.
fn choices(help: &str) -> Vec<String> {
    let mut before = "";
    let mut names = Vec::new();
    for word in help.split_whitespace() {
        let listed = word.strip_prefix('{').and_then(|word| word.split_once('}'));
        let is_of_option = before.trim_start_matches('[').starts_with('-') && !before.ends_with(']');
        if let Some((listed, _)) = listed.filter(|_| !is_of_option) {
            names.extend(listed.split(',').filter(|name| is_name(name)).map(str::to_owned));
        }
        before = word;
    }
    names
}

/// Returns the words that follow the program in its usage, as docopt writes it.
fn usage(program: &str, command: &str, help: &str) -> Vec<String> {
    let begin = if command.is_empty() { format!("{program} ") } else { format!("{program} {command} ") };
    let lines = help.lines().skip_while(|line| !line.to_lowercase().starts_with("usage:"));
    let mut names = Vec::new();
    for line in lines.take_while(|line| !line.trim().is_empty()) {
        let line = line.trim().trim_start_matches("Usage:").trim_start_matches("usage:").trim_start();
        names.extend(line.strip_prefix(&begin).and_then(|rest| rest.split(' ').next()).map(str::to_owned));
    }
    names.retain(|name| is_name(name));
    names
}

/// Returns the first word of each line in the sections with a heading about commands.
fn sections(help: &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    // The indents of the heading and of the entries of the current section.
    let (mut heading, mut entries) = (None, None);
    for line in help.lines() {
        let is_frame = line.trim_start().starts_with(['╭', '╰', '┏', '└']);
        let text = line.trim_matches(|c: char| c.is_whitespace() || "╭╮╰╯─│┃".contains(c));
        let indent = line.chars().take_while(|c| c.is_whitespace() || *c == '│').count();
        if text.is_empty() && !is_frame {
            continue;
        }
        if is_frame || heading.is_none_or(|heading| indent <= heading) {
            heading = is_heading(text, is_frame).then_some(if is_frame { 0 } else { indent });
            entries = None;
            continue;
        }
        let Some(name) = entry(text) else { continue };
        let of_last =
            names.last().is_some_and(|last| name.strip_prefix(last.as_str()).is_some_and(|n| n.starts_with(' ')));
        let own = *entries.get_or_insert(indent);
        if indent == own || of_last {
            names.push(name);
        }
    }
    names
}

fn is_heading(text: &str, is_frame: bool) -> bool {
    let lower = text.to_lowercase();
    let names_commands = ["command", "action", "service"].iter().any(|word| lower.contains(word));
    names_commands && (is_frame || text.ends_with(':') || text == text.to_uppercase())
}

/// Returns the command that a line of a list describes. At least two spaces separate it from its description.
fn entry(text: &str) -> Option<String> {
    let text = text.trim_start_matches("o ").trim_start_matches("* ");
    let head = text.split("  ").next()?.split([',', '(']).next()?.trim();
    let words: Vec<&str> = head.split(' ').collect();
    (words.len() <= 3 && words.iter().all(|word| is_name(word))).then(|| words.join(" "))
}

fn is_name(word: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | ':' | '.');
    word.starts_with(|c: char| c.is_ascii_lowercase()) && word.chars().all(is_letter) && !word.ends_with([':', '.'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subcommands_are_found_in_the_help_of_every_usual_library() {
        let argparse = "usage: tool [-h] [--color {auto,never}] {add,remove} ...\n\npositional arguments:\n  {add,remove}\n    \
                        add        Adds.\n    remove     Removes.\n\noptions:\n  -h, --help  show this\n";
        let click = "Usage: tool [OPTIONS] COMMAND [ARGS]...\n\n  Does all.\n\nOptions:\n  --help  Show this.\n\nCommands:\n  \
                     add     Adds\n          more.\n  remove  Removes.\n";
        let typer = " Usage: tool [OPTIONS] COMMAND\n\n╭─ Options ───╮\n│ --help   Show │\n╰─────╯\n╭─ Commands ──╮\n│ add      \
                     Adds.   │\n│ remove   Removes. │\n╰─────────╯\n";
        let docopt = "Tool.\n\nUsage:\n  tool add <x> [--fast]\n  tool remove <x>\n  tool --version\n\nOptions:\n  --fast  Fast.\n";
        let cleo = "Tool (version 1)\n\nUsage:\n  command [options]\n\nOptions:\n  -h, --help   Display\n\nAvailable commands:\n  \
                    add            Adds.\n\n remote\n  remote list    Lists.\n";
        let own = "tool 1.0\nCOMMANDS\n    add   Adds.\n    remove\n";
        for (help, names) in [
            (argparse, ["add", "remove"].as_slice()),
            (click, &["add", "remove"]),
            (typer, &["add", "remove"]),
            (docopt, &["add", "remove"]),
            (cleo, &["add", "remote list"]),
            (own, &["add", "remove"]),
            ("usage: tool [-h] FILE\n\nPrints the command that made FILE.\n", &[]),
        ] {
            assert_eq!(subcommands("tool", "", help), names, "{help}");
        }
        let nested = "usage: tool remote [-h] {show} ...\n";
        assert_eq!(subcommands("tool", "remote", nested), ["remote show"]);
        assert_eq!(subcommands("tool", "remote", "Commands:\n  tool remote show  Shows.\n"), ["remote show"]);
    }

    #[test]
    fn each_subcommand_runs_once_and_a_repeated_help_does_not_count() {
        let help = Help { name: "tool".to_owned(), driver: vec!["python".to_owned()], user: None, timeout_secs: 1 };
        let mut runs = Vec::new();
        let walked = help.walk(|argv| {
            runs.push(argv.join("|"));
            let said = |command: &String| match command.as_str() {
                "" => "usage: tool {a,b}",
                "a" => "usage: tool a {a}",
                "a a" => "usage: tool a a",
                _ => "usage: tool {a,b}",
            };
            let lines = argv[1..].iter().enumerate();
            let stdout =
                lines.map(|(number, command)| format!("{number} 0 {}\n", hex::encode(said(command)))).collect();
            Ok::<_, ()>(Some(Answer { stdout, ..Answer::default() }))
        });
        let answer = walked.unwrap().unwrap();
        assert_eq!(runs, ["python|", "python|a|b", "python|a a"]);
        let commands: Vec<&str> = answer.parts.iter().map(|part| part.command.as_str()).collect();
        assert_eq!(commands, ["tool --help", "tool a --help", "tool a a --help"]);
        assert_eq!((answer.command.as_str(), answer.exit_code), ("tool --help", 0));
    }

    #[test]
    fn a_command_that_is_not_reported_makes_the_whole_walk_unknown() {
        let help = Help { name: "tool".to_owned(), driver: Vec::new(), user: None, timeout_secs: 1 };
        assert_eq!(help.walk(|_| Ok::<_, ()>(Some(Answer::default()))), Ok(None));
    }
}
