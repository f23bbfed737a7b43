//! Reads the text of a shell script (POSIX, "Shell Command Language") into a tree of commands.
//!
//! Only the constructs that maintainer scripts use are understood. The value of a command substitution or of an
//! arithmetic expansion is unknown. Redirections are kept only if they may create a file.

use super::lexer::{Token, Word, tokens};

/// The maximum depth of nested constructs in a script. Without a limit, a script could exhaust the stack.
const MAX_DEPTH: usize = 30;

pub(super) type List = Vec<AndOr>;

/// Pipelines that are joined by operators. The flag before a pipeline is `true` for `&&`, and `false` for `||`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AndOr {
    pub(super) first: Pipeline,
    pub(super) rest: Vec<(bool, Pipeline)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pipeline {
    pub(super) is_negated: bool,
    pub(super) commands: Vec<Command>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command {
    /// The words of the command, and the files that it may write.
    Simple {
        words: Vec<Word>,
        outputs: Vec<Word>,
    },
    If {
        arms: Vec<(List, List)>,
        otherwise: List,
    },
    For {
        name: String,
        values: Option<Vec<Word>>,
        body: List,
    },
    While {
        condition: List,
        body: List,
    },
    Case {
        subject: Word,
        arms: Vec<(Vec<Word>, List)>,
    },
    Function {
        name: String,
        body: List,
    },
    Group(List),
}

/// Returns the commands of a script. `None` if the script is not a shell script, or is not understood.
pub(super) fn parse(script: &str) -> Option<List> {
    if let Some(interpreter) = script.strip_prefix("#!").and_then(|rest| rest.lines().next()) {
        let program = interpreter.split_whitespace().next().unwrap_or_default().rsplit('/').next();
        if !matches!(program, Some("sh" | "bash" | "dash")) {
            return None;
        }
    }
    let mut parser = Parser { tokens: tokens(script)?, at: 0, depth: 0 };
    let list = parser.list(&[])?;
    (parser.at == parser.tokens.len()).then_some(list)
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn is_operator(&self, operator: &str) -> bool {
        matches!(self.peek(), Some(Token::Operator(found)) if *found == operator)
    }

    fn take_operator(&mut self, operator: &str) -> bool {
        let is_there = self.is_operator(operator);
        self.at += usize::from(is_there);
        is_there
    }

    /// Returns the next word if it is a reserved word. Must only be called at a place in the script at which a command
    /// can begin.
    fn reserved(&self) -> Option<&str> {
        const RESERVED: [&str; 16] = [
            "!", "{", "}", "case", "do", "done", "elif", "else", "esac", "fi", "for", "if", "then", "until", "while",
            "function",
        ];
        let Some(Token::Word(word)) = self.peek() else { return None };
        word.plain().filter(|text| RESERVED.contains(text))
    }

    fn take_reserved(&mut self, word: &str) -> bool {
        let is_there = self.reserved() == Some(word);
        self.at += usize::from(is_there);
        is_there
    }

    fn expect(&mut self, word: &str) -> Option<()> {
        self.take_reserved(word).then_some(())
    }

    fn skip_newlines(&mut self) {
        while self.take_operator("\n") {}
    }

    /// Reads commands until one of the reserved words in `ends`, until `)` or `;;`, or until the end of the script.
    fn list(&mut self, ends: &[&str]) -> Option<List> {
        let mut list = List::new();
        loop {
            while ["\n", ";", "&"].into_iter().any(|operator| self.take_operator(operator)) {}
            let is_end = self.peek().is_none() || self.is_operator(")") || self.is_operator(";;");
            if is_end || self.reserved().is_some_and(|word| ends.contains(&word)) {
                return Some(list);
            }
            list.push(self.and_or()?);
        }
    }

    fn and_or(&mut self) -> Option<AndOr> {
        let first = self.pipeline()?;
        let mut rest = Vec::new();
        loop {
            let is_and = self.is_operator("&&");
            if !is_and && !self.is_operator("||") {
                return Some(AndOr { first, rest });
            }
            self.at += 1;
            self.skip_newlines();
            rest.push((is_and, self.pipeline()?));
        }
    }

    fn pipeline(&mut self) -> Option<Pipeline> {
        let mut is_negated = false;
        while self.take_reserved("!") {
            is_negated = !is_negated;
        }
        let mut commands = vec![self.command()?];
        while self.take_operator("|") {
            self.skip_newlines();
            commands.push(self.command()?);
        }
        Some(Pipeline { is_negated, commands })
    }

    fn command(&mut self) -> Option<Command> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return None;
        }
        let compound = match self.reserved().map(str::to_owned).as_deref() {
            Some("if") => self.conditional()?,
            Some("for") => self.for_loop()?,
            Some("while" | "until") => self.while_loop()?,
            Some("case") => self.case()?,
            Some("{") => self.group()?,
            Some(_) => return None,
            None if self.take_operator("(") => {
                let body = self.list(&[])?;
                self.take_operator(")").then_some(Command::Group(body))?
            }
            None => return self.simple().inspect(|_| self.depth -= 1),
        };
        self.depth -= 1;
        let outputs = self.redirections()?;
        if outputs.is_empty() {
            return Some(compound);
        }
        // A redirection after a construct applies to the whole construct. An empty command in front of the construct
        // represents it.
        let writes = Command::Simple { words: Vec::new(), outputs };
        let alone =
            |command| AndOr { first: Pipeline { is_negated: false, commands: vec![command] }, rest: Vec::new() };
        Some(Command::Group(vec![alone(writes), alone(compound)]))
    }

    fn group(&mut self) -> Option<Command> {
        self.expect("{")?;
        let body = self.list(&["}"])?;
        self.expect("}")?;
        Some(Command::Group(body))
    }

    fn conditional(&mut self) -> Option<Command> {
        let mut arms = Vec::new();
        let mut otherwise = List::new();
        self.expect("if")?;
        loop {
            let condition = self.list(&["then"])?;
            self.expect("then")?;
            arms.push((condition, self.list(&["elif", "else", "fi"])?));
            if self.take_reserved("elif") {
                continue;
            }
            if self.take_reserved("else") {
                otherwise = self.list(&["fi"])?;
            }
            self.expect("fi")?;
            return Some(Command::If { arms, otherwise });
        }
    }

    fn for_loop(&mut self) -> Option<Command> {
        self.expect("for")?;
        let name = self.word()?.plain()?.to_owned();
        self.skip_newlines();
        let mut values = None;
        if matches!(self.peek(), Some(Token::Word(word)) if word.plain() == Some("in")) {
            self.at += 1;
            let mut words = Vec::new();
            while let Some(word) = self.word() {
                words.push(word);
            }
            values = Some(words);
        }
        self.take_operator(";");
        self.skip_newlines();
        Some(Command::For { name, values, body: self.do_group()? })
    }

    fn while_loop(&mut self) -> Option<Command> {
        self.at += 1;
        let condition = self.list(&["do"])?;
        Some(Command::While { condition, body: self.do_group()? })
    }

    fn do_group(&mut self) -> Option<List> {
        self.expect("do")?;
        let body = self.list(&["done"])?;
        self.expect("done")?;
        Some(body)
    }

    fn case(&mut self) -> Option<Command> {
        self.expect("case")?;
        let subject = self.word()?;
        self.skip_newlines();
        if !matches!(self.word()?.plain(), Some("in")) {
            return None;
        }
        let mut arms = Vec::new();
        loop {
            self.skip_newlines();
            if self.take_reserved("esac") {
                return Some(Command::Case { subject, arms });
            }
            self.take_operator("(");
            let mut patterns = vec![self.word()?];
            while self.take_operator("|") {
                patterns.push(self.word()?);
            }
            if !self.take_operator(")") {
                return None;
            }
            arms.push((patterns, self.list(&["esac"])?));
            self.take_operator(";;");
        }
    }

    fn simple(&mut self) -> Option<Command> {
        let (mut words, mut outputs) = (Vec::new(), Vec::new());
        loop {
            match self.peek() {
                Some(Token::Word(_)) => words.extend(self.word()),
                Some(Token::Input | Token::Output) => outputs.extend(self.redirections()?),
                Some(Token::Operator("(")) if words.len() == 1 => {
                    self.at += 1;
                    self.take_operator(")").then_some(())?;
                    self.skip_newlines();
                    let name = words[0].plain()?.to_owned();
                    let body = Command::Group(Vec::new());
                    let body = if self.reserved() == Some("{") { self.command()? } else { body };
                    let Command::Group(body) = body else { return None };
                    return Some(Command::Function { name, body });
                }
                _ if words.is_empty() && outputs.is_empty() => return None,
                _ => return Some(Command::Simple { words, outputs }),
            }
        }
    }

    /// Reads redirections and returns the names of the files that they may write.
    fn redirections(&mut self) -> Option<Vec<Word>> {
        let mut outputs = Vec::new();
        loop {
            let is_output = match self.peek() {
                Some(Token::Output) => true,
                Some(Token::Input) => false,
                _ => return Some(outputs),
            };
            self.at += 1;
            let file = self.word()?;
            outputs.extend(Some(file).filter(|_| is_output));
        }
    }

    fn word(&mut self) -> Option<Word> {
        let Some(Token::Word(word)) = self.peek() else { return None };
        let word = word.clone();
        self.at += 1;
        Some(word)
    }
}
