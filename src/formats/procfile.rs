//! `Procfile`: the processes of an application, one per line, in the form `NAME: COMMAND`
//! (devcenter.heroku.com/articles/procfile).

use crate::model::shell_line::needs_shell;

/// The command of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    /// The words of the command. No shell is needed.
    Words(Vec<String>),
    /// The line, which uses features of a shell, such as `$PORT`. If the line is one simple command, `exec` is put
    /// before it, so that signals reach the program itself and not the shell.
    Shell(String),
}

/// Returns the names of all processes.
pub(crate) fn names(text: &str) -> Vec<&str> {
    lines(text).map(|(name, _)| name).collect()
}

/// Returns the command of the process `wanted`. Returns `None` if the file does not contain the process, or if its line
/// is empty.
pub(crate) fn command(text: &str, wanted: &str) -> Option<Command> {
    let (_, line) = lines(text).find(|(name, line)| *name == wanted && !line.is_empty())?;
    let words = shlex::split(line).filter(|words| !words.is_empty() && !needs_shell(line));
    // If the first word contains `=`, it sets a variable, so a shell is needed.
    let words = words.filter(|words| !words[0].contains('='));
    Some(words.map_or_else(|| Command::Shell(for_shell(line)), Command::Words))
}

/// Returns the line in the form in which a shell must run it. `exec` is added only if the line is a single command that
/// does not begin with a variable.
fn for_shell(line: &str) -> String {
    let first = line.split_whitespace().next().unwrap_or_default();
    let is_simple = !line.contains([';', '&', '|', '(', ')']) && !first.contains('=') && first != "exec";
    if is_simple { format!("exec {line}") } else { line.to_owned() }
}

fn lines(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let is_name = |name: &str| {
        !name.is_empty() && name.chars().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-'))
    };
    text.lines().filter_map(move |line| {
        let (name, command) = line.split_once(':')?;
        is_name(name.trim()).then(|| (name.trim(), command.trim()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Option<Command> {
        Some(Command::Words(words.iter().map(|word| (*word).to_owned()).collect()))
    }

    #[test]
    fn a_simple_line_is_split_into_words() {
        let text =
            "release: python manage.py migrate\n\nweb:  gunicorn 'my app:app' -b 0.0.0.0:8000 --name a\\ b\r\nempty:\n";
        assert_eq!(command(text, "web"), words(&["gunicorn", "my app:app", "-b", "0.0.0.0:8000", "--name", "a b"]));
        assert_eq!(command(text, "release"), words(&["python", "manage.py", "migrate"]));
        assert_eq!((command(text, "worker"), command(text, "empty")), (None, None));
        assert_eq!(names(text), ["release", "web", "empty"]);
        assert_eq!(names("not a process\n# web: x\n"), [""; 0]);
    }

    #[test]
    fn shell_syntax_needs_a_shell() {
        for line in [
            "gunicorn -b 0.0.0.0:$PORT app:app",
            "gunicorn -b \"0.0.0.0:${PORT}\" app:app",
            "run `hostname`",
            "run > log",
            "run *.py",
        ] {
            let found = command(&format!("web: {line}"), "web");
            assert_eq!(found, Some(Command::Shell(format!("exec {line}"))));
        }
        for line in [
            "flask db upgrade; gunicorn app:app",
            "python migrate.py && gunicorn app:app",
            "(run)",
            "DEBUG=1 gunicorn app:app",
            "exec gunicorn -b :$PORT",
        ] {
            let found = command(&format!("web: {line}"), "web");
            assert_eq!(found, Some(Command::Shell(line.to_owned())));
        }
        assert_eq!(command("web: run '$PORT' \\$HOME '*'", "web"), words(&["run", "$PORT", "$HOME", "*"]));
    }
}
