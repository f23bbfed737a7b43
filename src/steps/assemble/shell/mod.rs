//! Reads a maintainer script and returns the commands that a fresh installation would run. Nothing is run.
//!
//! Conditions are true, false or unknown. If a condition is unknown, the commands of all branches are returned and
//! marked as uncertain.

mod conditions;
mod lexer;
mod syntax;

use std::collections::BTreeMap;
use std::rc::Rc;

use self::conditions::Truth;
use self::lexer::{Piece, Word};
use self::syntax::{AndOr, Command as Node, List, Pipeline};

/// The maximum number of commands that are read from one script. Each round of a loop counts. The longest real scripts
/// need a few thousand.
const MAX_COMMANDS: usize = 20_000;
/// The maximum depth of nested calls of functions.
const MAX_CALLS: usize = 5;
/// The maximum length of a variable's value. Without a limit, a loop could double a value in each round.
const MAX_VALUE_BYTES: usize = 64 << 10;

/// One simple command after expansion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Command {
    /// The program and its arguments. `None` for a word that only a shell could compute.
    pub(super) words: Vec<Option<String>>,
    /// Whether a fresh installation certainly runs the command.
    pub(super) is_certain: bool,
    /// Whether the command's output goes to a file.
    pub(super) is_written: bool,
}

impl Command {
    /// Returns the name of the program, without its directory. Empty if it is unknown.
    pub(super) fn program(&self) -> &str {
        self.words.first().and_then(Option::as_deref).unwrap_or_default().rsplit('/').next().unwrap_or_default()
    }

    /// Returns the arguments, if all of them are known.
    pub(super) fn arguments(&self) -> Option<Vec<&str>> {
        self.words.iter().skip(1).map(Option::as_deref).collect()
    }
}

/// The system that a script would find.
pub(super) struct System<'a> {
    /// Whether a path exists.
    pub(super) exists: &'a dyn Fn(&str) -> bool,
    /// Whether every installation has the account of this name.
    pub(super) has_account: &'a dyn Fn(&str) -> bool,
    /// The text of debconf's `templates` file of the package.
    pub(super) templates: &'a str,
}

/// Returns the commands that `script` runs if it is called with `arguments`. `None` if the script is not understood.
pub(super) fn commands(script: &str, arguments: &[&str], system: &System<'_>) -> Option<Vec<Command>> {
    let list = syntax::parse(script)?;
    let parameters: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
    let mut reader = Reader {
        system,
        variables: BTreeMap::from([("DPKG_ROOT".to_owned(), Some(String::new()))]),
        parameters: Some(parameters),
        functions: BTreeMap::new(),
        calls: 0,
        may_have_returned: false,
        found: Vec::new(),
        is_certain: true,
        left: MAX_COMMANDS,
    };
    match reader.list(&list) {
        Flow::Stuck => None,
        _ => Some(reader.found),
    }
}

/// How a list of commands ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    Next(Truth),
    /// The list ended with `break` or `continue`, so the rest of the list is left out.
    Leave,
    /// `return` with its result.
    Return(Truth),
    Exit,
    /// The reader has reached one of its limits.
    Stuck,
}

struct Reader<'a> {
    system: &'a System<'a>,
    /// The variables that are set, with their values. An unknown value is `None`.
    variables: BTreeMap<String, Option<String>>,
    /// The positional parameters: `$1` and so on. `None` if they are not known.
    parameters: Option<Vec<String>>,
    functions: BTreeMap<String, Rc<List>>,
    calls: usize,
    /// Whether the current function may have returned at an earlier command.
    may_have_returned: bool,
    found: Vec<Command>,
    is_certain: bool,
    left: usize,
}

impl Reader<'_> {
    fn list(&mut self, list: &List) -> Flow {
        let mut last = Flow::Next(Truth::True);
        for and_or in list {
            last = self.and_or(and_or);
            if !matches!(last, Flow::Next(_)) {
                return last;
            }
        }
        last
    }

    /// Reads a list of commands that may or may not run. So all commands of the list are uncertain, and an `exit` in
    /// the list does not end the script.
    fn maybe(&mut self, read: impl FnOnce(&mut Self) -> Flow) -> Flow {
        let was_certain = std::mem::replace(&mut self.is_certain, false);
        let flow = read(self);
        self.is_certain = was_certain;
        self.may_have_returned |= matches!(flow, Flow::Return(_));
        if flow == Flow::Stuck { flow } else { Flow::Next(Truth::Unknown) }
    }

    fn and_or(&mut self, and_or: &AndOr) -> Flow {
        let mut flow = self.pipeline(&and_or.first);
        for (is_and, pipeline) in &and_or.rest {
            let Flow::Next(truth) = flow else { return flow };
            match (truth, is_and) {
                (Truth::True, true) | (Truth::False, false) => flow = self.pipeline(pipeline),
                (Truth::True, false) | (Truth::False, true) => {}
                (Truth::Unknown, _) => flow = self.maybe(|reader| reader.pipeline(pipeline)),
            }
        }
        flow
    }

    fn pipeline(&mut self, pipeline: &Pipeline) -> Flow {
        let mut flow = Flow::Next(Truth::True);
        for command in &pipeline.commands {
            flow = self.command(command);
            if flow == Flow::Stuck || pipeline.commands.len() == 1 && !matches!(flow, Flow::Next(_)) {
                return flow;
            }
        }
        match flow {
            // The result of a pipeline is unknown, because it depends on the text that flows through the pipeline.
            Flow::Next(_) if pipeline.commands.len() > 1 => Flow::Next(Truth::Unknown),
            Flow::Next(truth) if pipeline.is_negated => Flow::Next(truth.negated()),
            Flow::Next(truth) => Flow::Next(truth),
            _ => Flow::Next(Truth::Unknown),
        }
    }

    fn command(&mut self, command: &Node) -> Flow {
        if self.left == 0 {
            return Flow::Stuck;
        }
        self.left -= 1;
        match command {
            Node::Simple { words, outputs } => self.simple(words, outputs),
            Node::If { arms, otherwise } => self.conditional(arms, otherwise),
            Node::For { name, values, body } => self.for_loop(name, values.as_deref(), body),
            Node::While { condition, body } => self.maybe(|reader| match reader.list(condition) {
                Flow::Stuck => Flow::Stuck,
                _ => reader.list(body),
            }),
            Node::Case { subject, arms } => self.case(subject, arms),
            Node::Function { name, body } => {
                self.functions.insert(name.clone(), Rc::new(body.clone()));
                Flow::Next(Truth::True)
            }
            Node::Group(body) => self.list(body),
        }
    }

    fn conditional(&mut self, arms: &[(List, List)], otherwise: &List) -> Flow {
        let mut is_unknown = false;
        for (condition, body) in arms {
            let truth = match self.list(condition) {
                Flow::Next(truth) => truth,
                flow => return flow,
            };
            let flow = match truth {
                Truth::False => continue,
                Truth::True if !is_unknown => return self.list(body),
                Truth::True | Truth::Unknown => self.maybe(|reader| reader.list(body)),
            };
            is_unknown = true;
            if flow == Flow::Stuck || truth == Truth::True {
                return flow;
            }
        }
        if is_unknown { self.maybe(|reader| reader.list(otherwise)) } else { self.list(otherwise) }
    }

    fn for_loop(&mut self, name: &str, values: Option<&[Word]>, body: &List) -> Flow {
        let values: Vec<Option<String>> = match values {
            Some(words) => self.expand_all(words),
            None => match &self.parameters {
                Some(parameters) => parameters.iter().cloned().map(Some).collect(),
                None => vec![None],
            },
        };
        for value in values {
            // If the value is a pattern for file names, the files that it matches are unknown.
            let value = value.filter(|value| !value.contains(['*', '?', '[']));
            let is_known = value.is_some();
            self.variables.insert(name.to_owned(), value);
            let flow = if is_known { self.list(body) } else { self.maybe(|reader| reader.list(body)) };
            if matches!(flow, Flow::Stuck | Flow::Exit | Flow::Return(_)) {
                return flow;
            }
        }
        Flow::Next(Truth::True)
    }

    fn case(&mut self, subject: &Word, arms: &[(Vec<Word>, List)]) -> Flow {
        let subject = self.expand(subject);
        let mut is_unknown = subject.is_none();
        for (patterns, body) in arms {
            let truths = patterns.iter().map(|pattern| match (&subject, self.expand(pattern)) {
                (Some(subject), Some(pattern)) => conditions::matches(&pattern, subject),
                _ => Truth::Unknown,
            });
            match truths.max().unwrap_or(Truth::False) {
                Truth::False => {}
                Truth::True if !is_unknown => return self.list(body),
                Truth::True | Truth::Unknown => {
                    is_unknown = true;
                    if self.maybe(|reader| reader.list(body)) == Flow::Stuck {
                        return Flow::Stuck;
                    }
                }
            }
        }
        Flow::Next(if is_unknown { Truth::Unknown } else { Truth::True })
    }

    fn simple(&mut self, words: &[Word], outputs: &[Word]) -> Flow {
        let is_written = outputs.iter().any(|file| self.expand(file).as_deref() != Some("/dev/null"));
        let assignments = words.iter().take_while(|word| assignment(word).is_some()).count();
        for (name, value) in words[..assignments].iter().filter_map(assignment) {
            let value = self.expand(&value);
            self.assign(name, value);
        }
        let words = self.expand_all(&words[assignments..]);
        if words.is_empty() {
            if is_written {
                self.found.push(Command { words, is_certain: self.is_certain, is_written });
            }
            return Flow::Next(Truth::True);
        }
        // A loop may repeat long words, so each KiB of words counts like a command.
        let bytes: usize = words.iter().flatten().map(String::len).sum();
        self.left = self.left.saturating_sub(bytes >> 10);
        let command = Command { words, is_certain: self.is_certain, is_written };
        let program = command.words[0].clone().unwrap_or_default();
        if let Some(body) = self.functions.get(&program).cloned() {
            return self.call(&command, &body);
        }
        match program.as_str() {
            "exit" | "exec" => return Flow::Exit,
            "break" | "continue" => return Flow::Leave,
            "return" => {
                let result = command.words.get(1).cloned().unwrap_or(None);
                return Flow::Return(result.map_or(Truth::Unknown, |result| (result == "0").into()));
            }
            "shift" => {
                self.parameters = self.parameters.take().map(|all| all.into_iter().skip(1).collect());
            }
            "set" => self.set(&command),
            "local" | "export" | "readonly" => self.declare(&command),
            "unset" => {
                for name in command.words.iter().skip(1).flatten().filter(|_| self.is_certain) {
                    self.variables.remove(name);
                }
            }
            "read" => {
                for name in command.words.iter().skip(1).flatten() {
                    self.variables.insert(name.clone(), None);
                }
            }
            "db_get" => {
                let value =
                    command.words.get(1).cloned().flatten().and_then(|name| default(self.system.templates, &name));
                self.variables.insert("RET".to_owned(), value);
            }
            _ => {
                let truth = conditions::truth(&command, self.system);
                self.found.push(command);
                return Flow::Next(truth);
            }
        }
        Flow::Next(Truth::True)
    }

    fn call(&mut self, command: &Command, body: &Rc<List>) -> Flow {
        if self.calls == MAX_CALLS {
            return Flow::Stuck;
        }
        self.calls += 1;
        let parameters = command.words.iter().skip(1).cloned().collect();
        let parameters = std::mem::replace(&mut self.parameters, parameters);
        let may_have_returned = std::mem::take(&mut self.may_have_returned);
        let flow = self.list(body);
        let is_doubtful = std::mem::replace(&mut self.may_have_returned, may_have_returned);
        self.parameters = parameters;
        self.calls -= 1;
        match flow {
            Flow::Stuck | Flow::Exit => flow,
            Flow::Return(truth) | Flow::Next(truth) if !is_doubtful => Flow::Next(truth),
            Flow::Return(_) | Flow::Next(_) | Flow::Leave => Flow::Next(Truth::Unknown),
        }
    }

    fn set(&mut self, command: &Command) {
        if command.words.get(1).and_then(Option::as_deref) == Some("--") {
            self.parameters = command.words.iter().skip(2).cloned().collect();
        }
    }

    fn declare(&mut self, command: &Command) {
        for word in command.words.iter().skip(1).flatten() {
            if let Some((name, value)) = word.split_once('=') {
                self.assign(name.to_owned(), Some(value.to_owned()));
            }
        }
    }

    /// Sets a variable. If it is not certain that the assignment runs, and the variable already has a known value, the
    /// variable keeps this value.
    fn assign(&mut self, name: String, value: Option<String>) {
        let value = value.filter(|value| value.len() <= MAX_VALUE_BYTES);
        if self.is_certain || !matches!(self.variables.get(&name), Some(Some(_))) {
            self.variables.insert(name, value);
        }
    }

    /// Returns the value of a variable. A variable that is not set is empty.
    fn variable(&self, name: &str) -> Option<String> {
        let parameters = self.parameters.as_ref();
        match name {
            "@" | "*" => parameters.map(|all| all.join(" ")),
            "#" => parameters.map(|all| all.len().to_string()),
            "0" | "?" | "$" | "!" | "-" => None,
            _ => match name.parse::<usize>() {
                Ok(number) => {
                    parameters.map(|all| number.checked_sub(1).and_then(|at| all.get(at)).cloned().unwrap_or_default())
                }
                Err(_) => self.variables.get(name).cloned().unwrap_or_else(|| conditions::unset(name)),
            },
        }
    }

    /// Expands a word without splitting it.
    fn expand(&self, word: &Word) -> Option<String> {
        word.0.iter().try_fold(String::new(), |text, piece| {
            let value = match piece {
                Piece::Text(value, _) => value.clone(),
                Piece::Variable(name, _) => self.variable(name)?,
                Piece::Unknown => return None,
            };
            (text.len() + value.len() <= MAX_VALUE_BYTES).then(|| text + &value)
        })
    }

    /// Expands words, and splits the values of variables without quotes.
    fn expand_all(&self, words: &[Word]) -> Vec<Option<String>> {
        let mut fields = Vec::new();
        for word in words {
            match word.0.as_slice() {
                // This word is `"$@"`. A quoted word begins with a quoted text, which is empty here.
                [Piece::Text(text, true), Piece::Variable(name, true)] if text.is_empty() && name == "@" => {
                    match &self.parameters {
                        Some(parameters) => fields.extend(parameters.iter().cloned().map(Some)),
                        None => fields.push(None),
                    }
                }
                pieces => {
                    let is_split = pieces.iter().any(|piece| matches!(piece, Piece::Variable(_, false)))
                        && pieces.iter().all(|piece| !matches!(piece, Piece::Text(_, true) | Piece::Variable(_, true)));
                    match self.expand(word) {
                        Some(value) if is_split => {
                            fields.extend(value.split_whitespace().map(|field| Some(field.to_owned())));
                        }
                        value => fields.push(value),
                    }
                }
            }
        }
        fields
    }
}

/// Splits `NAME=VALUE`.
fn assignment(word: &Word) -> Option<(String, Word)> {
    let Some(Piece::Text(text, false)) = word.0.first() else { return None };
    let (name, value) = text.split_once('=')?;
    let is_name = name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
    if name.is_empty() || !is_name || name.starts_with(|letter: char| letter.is_ascii_digit()) {
        return None;
    }
    let mut pieces = vec![Piece::Text(value.to_owned(), false)];
    pieces.extend_from_slice(&word.0[1..]);
    Some((name.to_owned(), Word(pieces)))
}

/// Returns debconf's default answer to the question `name` (debconf-devel(7)).
fn default(templates: &str, name: &str) -> Option<String> {
    let fields = |paragraph: &str, field: &str| {
        paragraph
            .lines()
            .find_map(|line| line.strip_prefix(field)?.strip_prefix(':').map(|value| value.trim().to_owned()))
    };
    let paragraph = templates.split("\n\n").find(|paragraph| fields(paragraph, "Template").as_deref() == Some(name))?;
    Some(fields(paragraph, "Default").unwrap_or_default())
}

#[cfg(test)]
pub(super) mod tests;
