//! The facts in a Dockerfile that are useful for an image of lath: ports, packages, the command, the user, variables.

/// The facts about the last stage, and the packages of all stages.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct DockerfileFacts {
    pub(super) ports: Vec<String>,
    /// The Debian packages that are installed.
    pub(super) packages: Vec<String>,
    /// If both `ENTRYPOINT` and `CMD` are lists of words, one list with all these words. Otherwise `ENTRYPOINT`, or
    /// `CMD` if there is no `ENTRYPOINT`.
    pub(super) command: Option<DockerCommand>,
    pub(super) user: Option<String>,
    pub(super) workdir: Option<String>,
    /// Each `NAME=VALUE`.
    pub(super) env: Vec<String>,
}

/// A command, in one of the two forms that Dockerfiles have: a list of words, or a line for a shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum DockerCommand {
    Words(Vec<String>),
    Line(String),
}

impl DockerfileFacts {
    /// Reads the facts in a Dockerfile. Ignores instructions that it cannot read.
    pub(super) fn read(text: &str) -> Self {
        let mut facts = Self::default();
        let (mut entrypoint, mut cmd) = (None, None);
        for line in logical_lines(text) {
            let (instruction, rest) = line.split_once(char::is_whitespace).unwrap_or((&line, ""));
            let rest = rest.trim();
            match instruction.to_uppercase().as_str() {
                "FROM" => {
                    facts = Self { packages: facts.packages, ..Self::default() };
                    (entrypoint, cmd) = (None, None);
                }
                "EXPOSE" => facts.ports.extend(rest.split_whitespace().filter(|port| is_port(port)).map(str::to_owned)),
                "RUN" => facts.add_packages(rest),
                "ENTRYPOINT" => entrypoint = command(rest),
                "CMD" => cmd = command(rest),
                "USER" => facts.user = Some(rest.to_owned()),
                "WORKDIR" => facts.workdir = Some(rest.to_owned()),
                "ENV" => facts.env.extend(variables(rest)),
                _ => {}
            }
        }
        facts.command = match (entrypoint, cmd) {
            (Some(DockerCommand::Words(first)), Some(DockerCommand::Words(rest))) => {
                Some(DockerCommand::Words([first, rest].concat()))
            }
            // Docker does not use `CMD` if the entry point is a line for a shell.
            (Some(entrypoint), _) => Some(entrypoint),
            (None, cmd) => cmd,
        };
        facts
    }

    /// Adds the packages after `apt-get install`.
    fn add_packages(&mut self, run: &str) {
        for one in run.split(['&', ';', '|', '(', ')']) {
            let words = shlex::split(one).unwrap_or_default();
            let Some(install) = words.iter().position(|word| word == "install") else { continue };
            if !words[..install].iter().any(|word| word == "apt-get" || word == "apt") {
                continue;
            }
            let mut is_value = false;
            for word in &words[install + 1..] {
                // After the options `-t` and `-o`, the next word is their value, and not a package.
                if std::mem::replace(&mut is_value, word == "-t" || word == "-o") {
                    continue;
                }
                let name = word.split(['=', '/', ':']).next().unwrap_or_default();
                if is_package(name) && !self.packages.iter().any(|known| known == name) {
                    self.packages.push(name.to_owned());
                }
            }
        }
    }
}

/// Returns the instructions without comments. Each element is one whole instruction, without line breaks.
fn logical_lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut current = String::new();
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with('#') && !line.is_empty()) {
        match line.strip_suffix('\\') {
            Some(part) => {
                current.push_str(part);
                current.push(' ');
            }
            None => lines.push(std::mem::take(&mut current) + line),
        }
    }
    lines.push(current);
    lines
}

fn is_port(text: &str) -> bool {
    let number = text.split('/').next().unwrap_or_default();
    number.parse::<u16>().is_ok()
}

/// Whether a word is the name of a Debian package (Debian Policy, 5.6.7).
fn is_package(word: &str) -> bool {
    let is_allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "+-.".contains(c);
    word.len() > 1 && word.starts_with(|c: char| c.is_ascii_alphanumeric()) && word.chars().all(is_allowed)
}

fn command(text: &str) -> Option<DockerCommand> {
    if let Ok(words) = serde_json::from_str::<Vec<String>>(text) {
        return (!words.is_empty()).then_some(DockerCommand::Words(words));
    }
    (!text.is_empty()).then(|| DockerCommand::Line(text.to_owned()))
}

/// Reads `NAME=VALUE ...`, and the old form `NAME VALUE`. Values that contain variables are left out.
fn variables(text: &str) -> Vec<String> {
    let words = shlex::split(text).unwrap_or_default();
    let pairs = match words.first() {
        Some(first) if !first.contains('=') => vec![format!("{first}={}", words[1..].join(" "))],
        _ => words,
    };
    pairs.into_iter().filter(|pair| pair.contains('=') && !pair.contains('$')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dockerfile_is_read_as_far_as_it_is_useful() {
        let text = r#"
# syntax=docker/dockerfile:1
FROM python:3.12 AS build
RUN apt-get update && apt-get install -y --no-install-recommends -t bookworm-backports \
    # a comment
    build-essential libpq-dev=15.* \
    && rm -rf /var/lib/apt/lists/*
EXPOSE 1
FROM python:3.12-slim
ENV PYTHONUNBUFFERED=1 NAME="two words" PATH="/venv/bin:$PATH"
ENV OLD form of it
RUN set -eux; apt install -y libpq5 git; pip install gunicorn
WORKDIR /app
expose 8000 $PORT 9000/udp
USER 1000:1000
ENTRYPOINT ["gunicorn"]
CMD ["app:app", "-b", "0.0.0.0:8000"]
"#;
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let expected = DockerfileFacts {
            ports: words(&["8000", "9000/udp"]),
            packages: words(&["build-essential", "libpq-dev", "libpq5", "git"]),
            command: Some(DockerCommand::Words(words(&["gunicorn", "app:app", "-b", "0.0.0.0:8000"]))),
            user: Some("1000:1000".to_owned()),
            workdir: Some("/app".to_owned()),
            env: words(&["PYTHONUNBUFFERED=1", "NAME=two words", "OLD=form of it"]),
        };
        assert_eq!(DockerfileFacts::read(text), expected);
        let line = DockerfileFacts::read("FROM x\nCMD python app.py --port $PORT");
        assert_eq!(line.command, Some(DockerCommand::Line("python app.py --port $PORT".to_owned())));
        assert_eq!(
            DockerfileFacts::read("CMD [\nRUN apt-get install '\n"),
            DockerfileFacts { command: Some(DockerCommand::Line("[".to_owned())), ..DockerfileFacts::default() }
        );
    }
}
