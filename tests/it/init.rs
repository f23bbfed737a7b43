//! `lath init`: the settings that it writes for a folder.

use std::path::PathBuf;
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::world::lath;

/// A folder with a fixed name inside a new temporary folder.
struct Folder(TempDir);

impl Folder {
    fn path(&self) -> PathBuf {
        self.0.path().join("My_App.git")
    }
}

fn folder_with(files: &[(&str, &str)]) -> Folder {
    let folder = Folder(tempfile::tempdir().unwrap());
    fs_err::create_dir(folder.path()).unwrap();
    for (name, text) in files {
        fs_err::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn run(folder: &Folder, words: &[&str]) -> Output {
    Command::new(lath()).current_dir(folder.path()).env_clear().args(words).output().unwrap()
}

fn said(output: &Output) -> String {
    format!("exit {}\n{}", output.status.code().unwrap(), String::from_utf8_lossy(&output.stderr))
}

fn read(folder: &Folder, name: &str) -> String {
    fs_err::read_to_string(folder.path().join(name)).unwrap()
}

#[test]
fn a_link_that_leads_out_of_the_folder_is_not_written() {
    for (name, force) in [("lath.toml", ""), ("lath.toml", "--force"), ("pyproject.toml", "")] {
        let folder = folder_with(&[]);
        let target = folder.0.path().join("other");
        if name == "pyproject.toml" {
            fs_err::write(&target, "[project]\n").unwrap();
        }
        fs_err::os::unix::fs::symlink("../other", folder.path().join(name)).unwrap();
        let words: Vec<&str> = ["init", force].into_iter().filter(|word| !word.is_empty()).collect();
        let expected = format!(
            "exit 1\nerror: cannot write `{name}`: it is a link to `../other`, which is not a file of this project\n\n\
             hint: replace the link with a file, or remove it\n"
        );
        assert_eq!(said(&run(&folder, &words)), expected);
        assert_eq!(fs_err::read_to_string(&target).unwrap_or_default().len(), if name == "lath.toml" { 0 } else { 10 });
    }
}

const SERVICE: [(&str, &str); 5] = [
    ("requirements.txt", "flask\n"),
    ("Procfile", "release: true\nweb: gunicorn app:app --bind 0.0.0.0:$PORT\n"),
    ("manage.py", ""),
    (".python-version", "3.12.4\n"),
    (
        "Dockerfile",
        "FROM python:3.12-slim\nRUN apt-get update && apt-get install -y gcc libpq-dev libpq5 git curl ca-certificates\n\
         ENV MODE=production\nEXPOSE 8000\nUSER app\nCMD [\"gunicorn\", \"app:app\"]\n",
    ),
];

#[test]
fn a_folder_gets_a_commented_lath_toml() {
    let folder = folder_with(&SERVICE);
    assert_eq!(said(&run(&folder, &["init"])), "exit 0\nwrote `lath.toml`\n");
    insta::assert_snapshot!(read(&folder, "lath.toml"), @r#"
    # Settings of lath. Each option of `lath build` can be here; `lath config show` prints them all.

    # The application in this folder, and the distributions that it needs:
    requirement = ["."]
    tag = "my-app-git"

    # `.python-version` has this version:
    # python = "3.12"

    # The command of the image:
    # From `web` in the Procfile:
    # (This is a line for a shell, so the image needs one.)
    # run = ["sh", "-c", "gunicorn app:app --bind 0.0.0.0:$PORT"]
    # shell = true
    # From the Dockerfile:
    # run = ["gunicorn", "app:app"]
    # Django's own server, which is for development only:
    # run = "python3 manage.py runserver 0.0.0.0:8000"

    # From the Dockerfile:
    # (lath itself adds the libraries that wheels link to.)
    # with = ["libpq5", "git", "curl"]
    # build-with = ["gcc", "libpq-dev"]
    # expose = ["8000"]
    # env = ["MODE=production"]
    # (It runs as `app`. An image of lath has no other user than this one:)
    # user = "65532:65532"

    # A command that must work in the finished image:
    # check = ["python3 -c 'import app'"]
    "#);
    let shown = String::from_utf8(run(&folder, &["config", "show"]).stdout).unwrap();
    let options: Vec<&str> = shown.lines().filter_map(|line| line.split(" = ").next()).collect();
    assert_eq!(options, ["requirement", "tag"]);
    assert_eq!(
        said(&run(&folder, &["init"])),
        "exit 2\nerror: cannot write settings: `lath.toml` has some\n\nhint: replace them with `--force`\n"
    );
    fs_err::write(folder.path().join("lath.toml"), "broken").unwrap();
    assert_eq!(said(&run(&folder, &["init", "--force"])), "exit 0\nwrote `lath.toml`\n");
}

#[test]
fn only_a_folder_with_an_application_is_an_input() {
    let settings = |files: &[(&str, &str)]| {
        let folder = folder_with(&[]);
        for (name, text) in files {
            fs_err::create_dir_all(folder.path().join(name).parent().unwrap()).unwrap();
            fs_err::write(folder.path().join(name), text).unwrap();
        }
        assert_eq!(said(&run(&folder, &["init"])), "exit 0\nwrote `lath.toml`\n");
        let text = read(&folder, "lath.toml");
        text.lines().filter(|line| line.starts_with("requirement")).collect::<Vec<_>>().join("; ")
    };
    let file = ("requirements.txt", "tool\n");
    assert_eq!(settings(&[file]), "requirements = [\"requirements.txt\"]");
    assert_eq!(settings(&[file, ("app/main.py", "")]), "requirement = [\".\"]");
    assert_eq!(settings(&[file, ("Procfile", "web: tool\n")]), "requirement = [\".\"]");
    let other = ("requirements/base.txt", "tool\n");
    assert_eq!(
        settings(&[other, ("main.py", "")]),
        "requirement = [\".\"]; requirements = [\"requirements/base.txt\"]"
    );
}

#[test]
fn a_project_keeps_its_pyproject_and_gets_a_table_at_its_end() {
    let before = "[project]\nname = \"my.app\" # name\nrequires-python = \">=3.11\"\n\n[project.scripts]\nserve = \"app:main\"\nadmin = \"app:admin\"\n\n[tool.ruff]\nselect = [\"E\"]";
    for (before, end) in [(before.to_owned(), "\n"), (before.replace('\n', "\r\n") + "\r\n", "\r\n")] {
        let folder = folder_with(&[("pyproject.toml", &before), ("uv.lock", ""), ("requirements.txt", "")]);
        assert_eq!(said(&run(&folder, &["init"])), "exit 0\nwrote `[tool.lath]` in `pyproject.toml`\n");
        let after = read(&folder, "pyproject.toml");
        let added = after.strip_prefix(&before).unwrap();
        assert!(added.trim_start().starts_with(&format!("[tool.lath]{end}# ")), "{added}");
        assert_eq!(added.matches('\n').count(), added.matches(end).count());
        if end == "\n" {
            insta::assert_snapshot!(added.trim_start(), @r#"
            [tool.lath]
            # Settings of lath. Each option of `lath build` can be here; `lath config show` prints them all.

            # This project, with `uv.lock`:
            requirement = ["."]
            # requirements = ["requirements.txt"]
            # tag = "my-app"

            # `requires-python` is `>=3.11`.
            # python = "3.13"

            # The console scripts that the image runs; the first argument chooses one:
            # script = ["serve", "admin"]
            # Or another command:
            # run = "python3 -m my_app"

            # Debian packages that the program calls:
            # with = ["git"]
            # A command that must work in the finished image:
            # check = ["serve --version"]
            "#);
        }
        let said_again = said(&run(&folder, &["init"]));
        assert!(
            said_again.starts_with("exit 2\nerror: cannot write settings: `pyproject.toml` has some"),
            "{said_again}"
        );
        fs_err::write(folder.path().join("pyproject.toml"), after.replace("requirement = ", "with = ")).unwrap();
        assert_eq!(said(&run(&folder, &["init", "--force"])), "exit 0\nwrote `[tool.lath]` in `pyproject.toml`\n");
        let again = read(&folder, "pyproject.toml");
        assert_eq!(again.replace("\r\n", "\n").trim_end(), after.replace("\r\n", "\n").trim_end());
    }
}

#[test]
fn every_suggestion_is_an_option_that_lath_reads() {
    let project = ("pyproject.toml", "[tool.poetry]\nname = 'x'\n[tool.poetry.scripts]\na = 'x:a'\nb = 'x:b'\n");
    let hostile = ("Procfile", "web: echo 'a\u{7f}\\\" \u{1b}b' | sh\n");
    let odd = (
        "Dockerfile",
        "FROM x\nRUN apt-get install make\nENV A=\"x\\\"y\"\nCMD echo 'open\nWORKDIR /srv\nUSER 10:10\n",
    );
    for files in [&SERVICE[..], &[project], &[hostile, odd], &[]] {
        let folder = folder_with(files);
        let output = run(&folder, &["init"]);
        assert!(output.status.success(), "{}", said(&output));
        let name = if folder.path().join("lath.toml").exists() { "lath.toml" } else { "pyproject.toml" };
        let text = read(&folder, name);
        let suggestions: Vec<&str> =
            text.lines().filter_map(|line| line.strip_prefix("# ")).filter(|line| is_setting(line)).collect();
        assert!(suggestions.len() > 2, "{text}");
        for suggestion in suggestions {
            fs_err::write(folder.path().join("try.toml"), suggestion).unwrap();
            let output = run(&folder, &["config", "show", "--config", "try.toml"]);
            assert!(output.status.success() && !output.stdout.is_empty(), "{suggestion}: {}", said(&output));
        }
    }
}

/// Whether the text of a comment is an option with its value, such as `user = 'app'`.
fn is_setting(line: &str) -> bool {
    line.split_once(" = ").is_some_and(|(name, _)| name.chars().all(|c| c.is_ascii_lowercase() || c == '-'))
}

#[test]
fn a_pyproject_that_cannot_be_extended_stays_as_it_is() {
    for (text, expected) in [
        ("[project\n", "cannot read `pyproject.toml`: TOML parse error at line 1"),
        ("tool = { x = 1 }\n", "nothing was written"),
    ] {
        let folder = folder_with(&[("pyproject.toml", text)]);
        let error = said(&run(&folder, &["init"]));
        assert!(error.starts_with("exit 2\n") && error.contains(expected), "{error}");
        assert_eq!(read(&folder, "pyproject.toml"), text);
    }
}
