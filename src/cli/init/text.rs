//! The text that `lath init` writes. Some settings are written as comments: those that only repeat a default, and those
//! that would change the image, because the user should decide about these.

use std::fmt::Write as _;

use serde_json::Value;

use crate::catalog::releases;
use crate::cli::defaults;
use crate::cli::init::dockerfile::{DockerCommand, DockerfileFacts};
use crate::cli::init::found::{Found, OF_FOLDERS};
use crate::cli::options::Options;
use crate::model::shell_line;

/// Packages that are only needed to build other software.
const FOR_BUILDS: [&str; 14] = [
    "autoconf",
    "automake",
    "build-essential",
    "cargo",
    "clang",
    "cmake",
    "g++",
    "gcc",
    "gfortran",
    "libtool",
    "make",
    "ninja-build",
    "pkg-config",
    "rustc",
];

/// Packages that `lath init` leaves out, because every image contains their files, or because only the build of a
/// Dockerfile needs them.
const USELESS: [&str; 7] = [
    "apt-transport-https",
    "apt-utils",
    "ca-certificates",
    "gnupg",
    "lsb-release",
    "software-properties-common",
    "tzdata",
];

/// The text that is being written.
struct Text<'a> {
    text: String,
    options: &'a Options,
}

impl Text<'_> {
    fn comment(&mut self, line: &str) {
        // Control characters are replaced, so that text from a file cannot end the comment.
        let line: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let _ = writeln!(self.text, "# {line}");
    }

    fn blank(&mut self) {
        self.text.push('\n');
    }

    /// Adds an option with its value.
    fn set(&mut self, option: &str, value: impl Into<Value>) {
        let _ = writeln!(self.text, "{option} = {}", toml_of(&value.into()));
    }

    /// Adds a comment that contains an option and its value. If lath does not have this option, adds nothing.
    fn suggest(&mut self, option: &str, value: impl Into<Value>) {
        if self.options.0.contains_key(option) {
            let _ = writeln!(self.text, "# {option} = {}", toml_of(&value.into()));
        }
    }
}

/// Returns a value as TOML. A JSON string is also a valid string of TOML, except for one character (DEL), which is
/// replaced.
fn toml_of(value: &Value) -> String {
    match value {
        Value::Array(values) => format!("[{}]", values.iter().map(toml_of).collect::<Vec<_>>().join(", ")),
        value => value.to_string().replace('\u{7f}', "\\u007f"),
    }
}

/// Returns the settings for a folder, without the header of a table.
pub(super) fn text(found: &Found, options: &Options) -> String {
    let mut text = Text { text: String::new(), options };
    text.comment("Settings of lath. Each option of `lath build` can be here; `lath config show` prints them all.");
    inputs(found, &mut text);
    python(found, &mut text);
    command(found, &mut text);
    if let Some(dockerfile) = &found.dockerfile {
        of_dockerfile(dockerfile, &mut text);
    }
    text.blank();
    if found.dockerfile.as_ref().is_none_or(|facts| wanted(facts).is_empty()) {
        text.comment("Debian packages that the program calls:");
        text.suggest("with", vec!["git"]);
    }
    text.comment("A command that must work in the finished image:");
    let check =
        found.scripts.first().map_or("python3 -c 'import app'".to_owned(), |script| format!("{script} --version"));
    text.suggest("check", vec![check]);
    text.text
}

/// Guesses the name of the project's module from the name of the project.
fn module(found: &Found) -> String {
    image_name(&found.name).replace('-', "_")
}

fn inputs(found: &Found, text: &mut Text<'_>) {
    text.blank();
    if found.is_project {
        match found.lock {
            Some(lock) => text.comment(&format!("This project, with `{lock}`:")),
            None => text.comment("This project:"),
        }
        text.set("requirement", vec!["."]);
        found.requirements.into_iter().for_each(|file| text.suggest("requirements", vec![file]));
        text.suggest("tag", image_name(&found.name));
    } else if found.has_application {
        text.comment("The application in this folder, and the distributions that it needs:");
        text.set("requirement", vec!["."]);
        found
            .requirements
            .filter(|file| *file != OF_FOLDERS)
            .into_iter()
            .for_each(|file| text.set("requirements", vec![file]));
        text.set("tag", image_name(&found.name));
    } else if let Some(file) = found.requirements {
        text.set("requirements", vec![file]);
        text.set("tag", image_name(&found.name));
    } else {
        text.comment("The distributions that are installed:");
        text.suggest("requirement", vec!["."]);
        text.suggest("tag", image_name(&found.name));
    }
}

/// Returns a name that registries allow.
fn image_name(name: &str) -> String {
    let name: String = name
        .to_lowercase()
        .chars()
        .map(|c| if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '-' })
        .collect();
    let name = name.split('-').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-");
    if name.is_empty() { "app".to_owned() } else { name }
}

fn python(found: &Found, text: &mut Text<'_>) {
    text.blank();
    let known: Vec<String> = releases::for_python().iter().map(|release| release.python.to_string()).collect();
    let newest = releases::default().python.to_string();
    let chosen = found.chosen_python.as_deref().map(|version| version.split('.').take(2).collect::<Vec<_>>().join("."));
    if let Some(requires) = &found.requires_python {
        text.comment(&format!("`requires-python` is `{requires}`."));
    }
    match chosen {
        Some(chosen) if known.contains(&chosen) => {
            text.comment("`.python-version` has this version:");
            text.suggest("python", chosen);
        }
        Some(chosen) => {
            text.comment(&format!("`.python-version` has `{chosen}`; lath has {}.", known.join(", ")));
            text.suggest("python", newest);
        }
        None => text.suggest("python", newest),
    }
}

fn command(found: &Found, text: &mut Text<'_>) {
    text.blank();
    match found.scripts.as_slice() {
        [] => text.comment("The command of the image:"),
        [only] => {
            text.comment(&format!("The image runs the console script `{only}`, unless another command is chosen:"))
        }
        several => {
            text.comment("The console scripts that the image runs; the first argument chooses one:");
            text.suggest("script", several.to_vec());
            text.comment("Or another command:");
        }
    }
    let dockerfile = found.dockerfile.as_ref().and_then(|facts| facts.command.clone());
    let mut has_some = false;
    if let Some(web) = &found.web {
        text.comment("From `web` in the Procfile:");
        suggest_line(web, text);
        has_some = true;
    }
    match dockerfile {
        Some(DockerCommand::Words(mut words)) => {
            // In an image of lath, the program is in another folder. So only its name is kept, and `PATH` finds it.
            if let Some((_, name)) = words[0].rsplit_once("/bin/") {
                words[0] = name.to_owned();
            }
            text.comment("From the Dockerfile:");
            text.suggest("run", words);
            has_some = true;
        }
        Some(DockerCommand::Line(line)) => {
            text.comment("From the Dockerfile:");
            suggest_line(&line, text);
            has_some = true;
        }
        None => {}
    }
    if found.has_manage {
        text.comment("Django's own server, which is for development only:");
        text.suggest("run", "python3 manage.py runserver 0.0.0.0:8000");
        has_some = true;
    }
    if !has_some {
        text.suggest("run", format!("python3 -m {}", module(found)));
    }
}

/// Suggests a command that is a line of a Procfile or of a Dockerfile.
fn suggest_line(line: &str, text: &mut Text<'_>) {
    if shell_line::needs_shell(line) {
        text.comment("(This is a line for a shell, so the image needs one.)");
        text.suggest("run", vec!["sh", "-c", line]);
        text.suggest("shell", true);
        return;
    }
    match shlex::split(line).filter(|words| !words.is_empty()) {
        Some(_) => text.suggest("run", line),
        None => text.comment(line),
    }
}

/// Returns those packages of a Dockerfile that an image may need.
fn wanted(facts: &DockerfileFacts) -> Vec<String> {
    let is_wanted = |name: &&String| {
        !FOR_BUILDS.contains(&name.as_str())
            && !USELESS.contains(&name.as_str())
            && !name.ends_with("-dev")
            && !name.starts_with("python3")
    };
    facts.packages.iter().filter(is_wanted).cloned().collect()
}

fn of_dockerfile(facts: &DockerfileFacts, text: &mut Text<'_>) {
    text.blank();
    text.comment("From the Dockerfile:");
    let wanted = wanted(facts);
    if !wanted.is_empty() {
        text.comment("(lath itself adds the libraries that wheels link to.)");
        text.suggest("with", wanted);
    }
    let for_builds = |name: &&String| FOR_BUILDS.contains(&name.as_str()) || name.ends_with("-dev");
    let for_builds: Vec<String> = facts.packages.iter().filter(for_builds).cloned().collect();
    if !for_builds.is_empty() {
        text.suggest("build-with", for_builds);
    }
    if !facts.ports.is_empty() {
        text.suggest("expose", facts.ports.clone());
    }
    if !facts.env.is_empty() {
        text.suggest("env", facts.env.clone());
    }
    if let Some(workdir) = facts.workdir.as_ref().filter(|path| path.starts_with('/') && !path.contains("..")) {
        text.suggest("workdir", workdir.clone());
    }
    match &facts.user {
        Some(user) if user.split(':').all(|id| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit())) => {
            text.suggest("user", user.clone());
        }
        Some(user) => {
            text.comment(&format!("(It runs as `{user}`. An image of lath has no other user than this one:)"));
            text.suggest("user", defaults::USER);
        }
        None => {}
    }
}
