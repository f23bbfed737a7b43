//! Splits the text of a shell script into words and operators.

use std::iter::Peekable;
use std::str::Chars;

/// A word before its expansion.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Word(pub(super) Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// A text. The flag is set if the text is quoted.
    Text(String, bool),
    /// The name of a variable or parameter. The flag is set if the variable is quoted.
    Variable(String, bool),
    /// A value that only a shell could compute.
    Unknown,
}

impl Word {
    /// Returns the text of the word. `None` if the word contains quotes or expansions, so it cannot be a reserved word.
    pub(super) fn plain(&self) -> Option<&str> {
        match self.0.as_slice() {
            [Piece::Text(text, false)] => Some(text),
            _ => None,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    Word(Word),
    /// `\n ; ;; & && | || ( )`
    Operator(&'static str),
    /// `<`, with a file name as the next word.
    Input,
    /// `>` or `>>`, with a file name as the next word. Duplicated descriptors such as `2>&1` are left out.
    Output,
}

/// Returns the tokens of a script. `None` if a quote or a substitution does not end.
pub(super) fn tokens(script: &str) -> Option<Vec<Token>> {
    let script = script.replace("\\\n", "");
    let mut lexer = Lexer { rest: script.chars().peekable(), tokens: Vec::new(), here: Vec::new() };
    while lexer.next()? {}
    Some(lexer.tokens)
}

struct Lexer<'a> {
    rest: Peekable<Chars<'a>>,
    tokens: Vec<Token>,
    /// The words that end the here-documents of the current line.
    here: Vec<String>,
}

impl Lexer<'_> {
    /// Reads one token. Returns `Some(false)` at the end of the script.
    fn next(&mut self) -> Option<bool> {
        let Some(&letter) = self.rest.peek() else { return Some(false) };
        match letter {
            ' ' | '\t' | '\r' => {
                self.rest.next();
            }
            '#' => while self.rest.next_if(|&letter| letter != '\n').is_some() {},
            '\n' => {
                self.rest.next();
                self.tokens.push(Token::Operator("\n"));
                self.skip_here_documents();
            }
            '(' => self.operator("("),
            ')' => self.operator(")"),
            ';' => self.doubled(';', ";", ";;"),
            '&' => self.doubled('&', "&", "&&"),
            '|' => self.doubled('|', "|", "||"),
            '<' | '>' => self.redirection()?,
            _ => {
                let word = self.word()?;
                // In `2>file`, the number is a part of the redirection.
                let is_descriptor = word.plain().is_some_and(|text| text.chars().all(|c| c.is_ascii_digit()))
                    && matches!(self.rest.peek(), Some('<' | '>'));
                if !is_descriptor {
                    self.tokens.push(Token::Word(word));
                }
            }
        }
        Some(true)
    }

    fn operator(&mut self, operator: &'static str) {
        self.rest.next();
        self.tokens.push(Token::Operator(operator));
    }

    fn doubled(&mut self, letter: char, single: &'static str, double: &'static str) {
        self.rest.next();
        let is_double = self.rest.next_if_eq(&letter).is_some();
        self.tokens.push(Token::Operator(if is_double { double } else { single }));
    }

    fn redirection(&mut self) -> Option<()> {
        let is_output = self.rest.next() == Some('>');
        if !is_output && self.rest.next_if_eq(&'<').is_some() {
            let are_tabs_removed = self.rest.next_if_eq(&'-').is_some();
            self.skip_blanks();
            let end = self.word()?;
            let text: String =
                end.0.iter().map(|piece| if let Piece::Text(text, _) = piece { text } else { "" }).collect();
            self.here.push(if are_tabs_removed { format!("\t{text}") } else { text });
            return Some(());
        }
        self.rest.next_if(|&letter| matches!(letter, '>' | '|'));
        let is_descriptor = self.rest.next_if_eq(&'&').is_some();
        self.skip_blanks();
        if is_descriptor {
            self.word()?;
        } else {
            self.tokens.push(if is_output { Token::Output } else { Token::Input });
        }
        Some(())
    }

    fn skip_blanks(&mut self) {
        while self.rest.next_if(|letter| matches!(letter, ' ' | '\t')).is_some() {}
    }

    fn skip_here_documents(&mut self) {
        for end in std::mem::take(&mut self.here) {
            let (end, are_tabs_removed) = end.strip_prefix('\t').map_or((end.as_str(), false), |end| (end, true));
            while self.rest.peek().is_some() {
                let mut line = String::new();
                line.extend(std::iter::from_fn(|| self.rest.next_if(|&letter| letter != '\n')));
                self.rest.next();
                if (if are_tabs_removed { line.trim_start_matches('\t') } else { &line }) == end {
                    break;
                }
            }
        }
    }

    fn word(&mut self) -> Option<Word> {
        let mut word = Word::default();
        while let Some(&letter) = self.rest.peek() {
            match letter {
                ' ' | '\t' | '\r' | '\n' | '(' | ')' | ';' | '&' | '|' | '<' | '>' => break,
                '\'' => {
                    self.rest.next();
                    let text = self.until('\'')?;
                    word.push(&text, true);
                }
                '"' => {
                    self.rest.next();
                    self.quoted(&mut word)?;
                }
                '\\' => {
                    self.rest.next();
                    let letter = self.rest.next()?;
                    word.push(letter.encode_utf8(&mut [0; 4]), true);
                }
                '$' | '`' => {
                    let piece = self.expansion(false)?;
                    word.0.push(piece);
                }
                _ => {
                    self.rest.next();
                    word.push(letter.encode_utf8(&mut [0; 4]), false);
                }
            }
        }
        (!word.0.is_empty()).then_some(word)
    }

    /// Reads the rest of a text in double quotes, after the first quote.
    fn quoted(&mut self, word: &mut Word) -> Option<()> {
        word.push("", true);
        loop {
            match *self.rest.peek()? {
                '"' => {
                    self.rest.next();
                    return Some(());
                }
                '\\' => {
                    self.rest.next();
                    let letter = self.rest.next()?;
                    if !matches!(letter, '$' | '`' | '"' | '\\') {
                        word.push("\\", true);
                    }
                    word.push(letter.encode_utf8(&mut [0; 4]), true);
                }
                '$' | '`' => {
                    let piece = self.expansion(true)?;
                    word.0.push(piece);
                }
                letter => {
                    self.rest.next();
                    word.push(letter.encode_utf8(&mut [0; 4]), true);
                }
            }
        }
    }

    /// Reads `$NAME`, `${...}`, `$(...)` or a substitution in backquotes.
    fn expansion(&mut self, is_quoted: bool) -> Option<Piece> {
        if self.rest.next() == Some('`') {
            while self.until('`')?.ends_with('\\') {}
            return Some(Piece::Unknown);
        }
        let is_name = |letter: &char| letter.is_ascii_alphanumeric() || *letter == '_';
        match self.rest.peek() {
            Some('(') => {
                self.rest.next();
                self.skip_parentheses()?;
                Some(Piece::Unknown)
            }
            Some('{') => {
                self.rest.next();
                let inner = self.braces()?;
                let is_plain =
                    !inner.is_empty() && inner.chars().all(|letter| is_name(&letter) || "@*#".contains(letter));
                match inner.as_str() {
                    // lath expects that the root of the system is `/`. For this root, dpkg leaves `DPKG_ROOT` empty.
                    root if root.starts_with("DPKG_ROOT:+") || root == "DPKG_ROOT:-" || root == "DPKG_ROOT-" => {
                        Some(Piece::Text(String::new(), is_quoted))
                    }
                    _ if is_plain => Some(Piece::Variable(inner, is_quoted)),
                    _ => Some(Piece::Unknown),
                }
            }
            Some(letter) if "@*#?$!-".contains(*letter) || letter.is_ascii_digit() => {
                let name = self.rest.next()?.to_string();
                Some(Piece::Variable(name, is_quoted))
            }
            Some(letter) if is_name(letter) => {
                let name = std::iter::from_fn(|| self.rest.next_if(is_name)).collect();
                Some(Piece::Variable(name, is_quoted))
            }
            _ => Some(Piece::Text("$".to_owned(), is_quoted)),
        }
    }

    fn until(&mut self, end: char) -> Option<String> {
        let mut text = String::new();
        loop {
            match self.rest.next()? {
                letter if letter == end => return Some(text),
                letter => text.push(letter),
            }
        }
    }

    /// Reads up to the `}` that belongs to `${`.
    fn braces(&mut self) -> Option<String> {
        let (mut text, mut depth) = (String::new(), 0);
        loop {
            let letter = self.rest.next()?;
            match letter {
                '{' => depth += 1,
                '}' if depth == 0 => return Some(text),
                '}' => depth -= 1,
                _ => {}
            }
            text.push(letter);
        }
    }

    /// Skips up to the `)` that belongs to `$(`.
    fn skip_parentheses(&mut self) -> Option<()> {
        let mut depth = 1;
        while depth > 0 {
            match self.rest.next()? {
                '(' => depth += 1,
                ')' => depth -= 1,
                '\'' => drop(self.until('\'')?),
                '"' => {
                    let mut escaped = false;
                    for letter in self.rest.by_ref() {
                        if letter == '"' && !escaped {
                            break;
                        }
                        escaped = letter == '\\' && !escaped;
                    }
                }
                '\\' => drop(self.rest.next()),
                _ => {}
            }
        }
        Some(())
    }
}

impl Word {
    /// Appends text to the last piece. If the last piece is not a text with the same flag, adds a new piece.
    fn push(&mut self, text: &str, is_quoted: bool) {
        match self.0.last_mut() {
            Some(Piece::Text(last, quoted)) if *quoted == is_quoted => last.push_str(text),
            _ => self.0.push(Piece::Text(text.to_owned(), is_quoted)),
        }
    }
}
