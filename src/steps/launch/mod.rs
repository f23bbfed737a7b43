//! Scripts -> launch: the command, the environment and the user with which the image starts.

mod error;
mod words;

use std::collections::BTreeMap;

use self::error::Candidates;
pub(crate) use self::error::LaunchError;
use self::words::Place;
use crate::catalog::time_zones;
use crate::formats::procfile;
use crate::model::application::AppRequest;
use crate::model::assembly::InstalledScript;
use crate::model::hint::Addition;
use crate::model::launch::{Launch, Started};
use crate::model::lock;
use crate::model::request::{Entrypoint, LaunchRequest};
use crate::model::tree::Tree;
use crate::outside::app_files;

/// The programs of an image.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Programs<'a> {
    /// All console scripts.
    pub(crate) scripts: &'a [InstalledScript],
    /// The distributions that the user requested.
    pub(crate) requested: &'a [&'a str],
    /// The untrimmed tree. `None` if there is no tree. Then lath cannot check the words of a command.
    pub(crate) tree: Option<&'a Tree>,
}

/// Returns how the image starts its program.
pub(crate) fn launch(programs: &Programs<'_>, request: &LaunchRequest<'_>) -> Result<Launch, LaunchError> {
    let runtime = request.runtime;
    let env = environment(request);
    let place = programs.tree.map(|tree| Place { tree, env: &env, request });
    let located = |words: &[String]| place.map_or_else(|| Ok(words.to_vec()), |place| place.located(words));
    let command = command(programs, place.as_ref(), request)?;
    let (entrypoint, cmd) = match command {
        Command::Words(words) => in_form(located(&words)?, runtime.entrypoint, &runtime.cmd),
        Command::Settled { entrypoint, cmd } => (entrypoint, cmd),
    };
    let healthcheck = runtime.healthcheck.as_ref().map(|check| located(&check.command)).transpose()?;
    let words = [entrypoint.as_slice(), &cmd].concat();
    let started = place.map_or_else(Started::default, |place| place.started(&words));
    Ok(Launch {
        entrypoint,
        cmd,
        user: runtime.user.clone(),
        workdir: request.workdir(),
        healthcheck: healthcheck.unwrap_or_default(),
        started,
        env,
    })
}

/// Returns a warning if `TZ` names a time zone that is not in the image, because the C library would use UTC without a
/// message.
pub(crate) fn zone_warning(launch: &Launch, tree: &Tree) -> Option<String> {
    let value = launch.env.iter().find_map(|pair| pair.strip_prefix("TZ="))?;
    let zone = time_zones::zone_of(value)?;
    let is_there = |path: &str| tree.find(path).is_some();
    if is_there(&format!("{}/{zone}", time_zones::FOLDER)) {
        return None;
    }
    let advice = match time_zones::package_of(zone, is_there(time_zones::FOLDER)) {
        Some(package) => Addition::Package(package.to_owned()).to_string(),
        None => "check its spelling".to_owned(),
    };
    Some(format!("the image has no time zone `{zone}`, so programs use UTC in spite of `TZ={value}`: {advice}"))
}

/// Returns the variables as `NAME=VALUE`. The user's variables have priority over lath's.
fn environment(request: &LaunchRequest<'_>) -> Vec<String> {
    let LaunchRequest { base, user_base, runtime, app, .. } = request;
    let of_base = |name: &str| base.as_ref().and_then(|base| base.image.found.variable(name));
    let folders = of_base("PATH").unwrap_or("/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin");
    // If lath made the base image, its `PATH` may already begin with this folder.
    let path = match folders.split(':').next() == Some(user_base.bin().as_str()) {
        true => folders.to_owned(),
        false => format!("{}:{folders}", user_base.bin()),
    };
    let home = base.and_then(|base| base.home());
    let mut own = vec![
        // If the user is not in the image's `/etc/passwd` and this variable is missing, an engine sets HOME to the root
        // directory, which is not writable.
        ("HOME", home.unwrap_or_else(|| "/home/app".to_owned())),
        ("LANG", of_base("LANG").unwrap_or("C.UTF-8").to_owned()),
        ("PATH", path),
        ("PYTHONUSERBASE", user_base.to_string()),
    ];
    let keeps_user = base.is_some_and(|base| base.keeps_user());
    if !["0", "root"].contains(&runtime.uid()) && !keeps_user {
        // `getpass.getuser()` uses this variable. So the function works even for a user that is not in `/etc/passwd`.
        own.push(("USER", "app".to_owned()));
    }
    if let Some(app) = app {
        // `python main.py` and servers such as uvicorn import modules from the work directory. Other programs do that
        // only if `PYTHONPATH` contains this directory (docs/decisions/0111-the-command-of-an-image.md).
        let of_base = of_base("PYTHONPATH").map(|folders| format!(":{folders}")).unwrap_or_default();
        own.push(("PYTHONPATH", format!("{}{of_base}", app.target)));
    }
    let mut all: BTreeMap<String, String> = variables_of_base(request);
    all.extend(own.into_iter().map(|(name, value)| (name.to_owned(), value)));
    all.extend(runtime.env.clone());
    all.into_iter().map(|(name, value)| format!("{name}={value}")).collect()
}

/// Returns the variables of the base image. If a name occurs several times, the last value counts.
fn variables_of_base(request: &LaunchRequest<'_>) -> BTreeMap<String, String> {
    let env = request.base.iter().flat_map(|base| &base.image.found.env);
    env.filter_map(|pair| pair.split_once('=')).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Returns the script that has the same name as a requested distribution. `None` if there are two such scripts, because
/// then the user has requested two programs.
fn namesake<'a>(scripts: &[&'a InstalledScript], requested: &[&str]) -> Option<&'a str> {
    let is_namesake = |script: &&&InstalledScript| requested.contains(&lock::namesake(&script.name).as_str());
    let mut namesakes = scripts.iter().filter(is_namesake);
    let first = namesakes.next()?;
    // Two distributions may contain a script with the same name. This counts as one script.
    namesakes.all(|other| other.name == first.name).then_some(first.name.as_str())
}

/// The command of an image.
enum Command {
    /// The words of a command. The first word is a program of the image.
    Words(Vec<String>),
    Settled {
        entrypoint: Vec<String>,
        cmd: Vec<String>,
    },
}

/// Returns the command of the image: the words or the module that the user named, the console scripts, or the command
/// of the application.
fn command(
    programs: &Programs<'_>,
    place: Option<&Place<'_>>,
    request: &LaunchRequest<'_>,
) -> Result<Command, LaunchError> {
    let runtime = request.runtime;
    if !runtime.command.is_empty() {
        return Ok(Command::Words(runtime.command.clone()));
    }
    if let Some(module) = &runtime.module {
        place.map_or(Ok(()), |place| place.check_module(module))?;
        return Ok(Command::Words(vec![request.python.program(), "-m".to_owned(), module.clone()]));
    }
    match request.app {
        Some(app) if runtime.scripts.is_empty() && runtime.entrypoint == Entrypoint::Exec => {
            of_application(app, programs, request)
        }
        _ => of_scripts(programs, request),
    }
}

/// Returns the command of an application: its only script, or the process `web` of its Procfile.
fn of_application(
    app: &AppRequest,
    programs: &Programs<'_>,
    request: &LaunchRequest<'_>,
) -> Result<Command, LaunchError> {
    if let Some(script) = app.script_path() {
        return Ok(Command::Words(vec![request.python.program(), script]));
    }
    let procfile = app.files.procfile.as_deref().unwrap_or_default();
    match procfile::command(procfile, "web") {
        Some(procfile::Command::Words(words)) => Ok(Command::Words(words)),
        Some(procfile::Command::Shell(line)) if request.runtime.shell => {
            Ok(Command::Words(vec!["/bin/sh".to_owned(), "-c".to_owned(), line]))
        }
        Some(procfile::Command::Shell(line)) => Err(LaunchError::NeedsShell { line }),
        None => {
            let offered = programs.scripts.iter().filter(|script| script.is_requested);
            Err(LaunchError::NoCommand(Candidates {
                scripts: offered.map(|script| script.name.clone()).collect(),
                processes: procfile::names(procfile).into_iter().map(str::to_owned).collect(),
                files: app_files::programs(&app.files).into_iter().map(str::to_owned).collect(),
            }))
        }
    }
}

/// Returns the entry point and the default arguments of a command. If a shell runs the command, it gets the command as
/// one line.
fn in_form(words: Vec<String>, form: Entrypoint, cmd: &[String]) -> (Vec<String>, Vec<String>) {
    match form {
        Entrypoint::Exec => (words, cmd.to_vec()),
        Entrypoint::Shell => {
            let line = shlex::try_join(words.iter().chain(cmd).map(String::as_str)).unwrap_or_default();
            (vec!["/bin/sh".to_owned(), "-c".to_owned()], vec![line])
        }
    }
}

/// Returns the script that the user named, or the only script, or the script that has the name of its distribution. If
/// there are several scripts and none of these rules chooses a script, lath does not guess. Then the first word of the
/// container's command selects a script. An image without scripts starts Python.
fn of_scripts(programs: &Programs<'_>, request: &LaunchRequest<'_>) -> Result<Command, LaunchError> {
    let LaunchRequest { python, user_base, runtime, .. } = *request;
    let scripts = programs.scripts;
    let settled = |entrypoint: Vec<String>, cmd: Vec<String>| Ok(Command::Settled { entrypoint, cmd });
    let cmd = runtime.cmd.clone();
    if runtime.entrypoint == Entrypoint::Shell {
        return settled(vec!["/bin/sh".to_owned(), "-c".to_owned()], cmd);
    }
    if let Some(script) = runtime.scripts.iter().find(|name| !scripts.iter().any(|script| script.name == **name)) {
        let names: Vec<String> = scripts.iter().map(|script| format!("`{}`", script.name)).collect();
        let there = if names.is_empty() { "none at all".to_owned() } else { names.join(", ") };
        return Err(LaunchError::NoScript { script: script.clone(), there });
    }
    let offered: Vec<&InstalledScript> = scripts.iter().filter(|script| script.is_requested).collect();
    let program = match (runtime.scripts.as_slice(), offered.as_slice()) {
        ([one], _) => Some(one.as_str()),
        ([], [one]) => Some(one.name.as_str()),
        ([], several) => namesake(several, programs.requested),
        (_, _) => None,
    };
    if let Some(program) = program {
        return settled(vec![user_base.program(program)], cmd);
    }
    // The image offers several programs, so it has no entry point. The first word of the container's command selects
    // the program. If a container has no command, it starts the default arguments that the user gave for the build. If
    // there are none, it starts the first script that the user named for the build, or else Python.
    let python = vec![python.program()];
    if runtime.scripts.is_empty() && offered.is_empty() {
        return settled(python, cmd);
    }
    let default = runtime.scripts.first().map_or(python, |name| vec![user_base.program(name)]);
    settled(Vec::new(), if cmd.is_empty() { default } else { cmd })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::digest::Digest;
    use crate::model::image_path::ImagePath;
    use crate::model::request::Request;
    use crate::model::tree::{Node, Origin};

    fn script(name: &str, distribution: &str) -> InstalledScript {
        InstalledScript {
            name: name.to_owned(),
            distribution: distribution.to_owned(),
            module: None,
            attribute: None,
            is_requested: true,
        }
    }

    fn launched(scripts: &[InstalledScript], request: &Request) -> Result<Launch, LaunchError> {
        launch(&Programs { scripts, requested: &["tool"], tree: None }, &request.to_launch(*request.platforms.first()))
    }

    #[test]
    fn only_one_namesake_is_what_an_image_starts() {
        let (black, daemon, isort) = (script("black", "black"), script("blackd", "black"), script("isort", "isort"));
        assert_eq!(namesake(&[&black, &daemon], &["black"]), Some("black"));
        assert_eq!(namesake(&[&black, &isort], &["black", "isort"]), None);
        assert_eq!(namesake(&[&daemon], &["black"]), None);
        assert_eq!(namesake(&[&black, &script("black", "black-core")], &["black"]), Some("black"));
        // The user requests `ansible`. This distribution depends on `ansible-core`, which contains the script
        // `ansible`.
        let (community, core) = (script("ansible-community", "ansible"), script("ansible", "ansible-core"));
        assert_eq!(namesake(&[&community, &core], &["ansible"]), Some("ansible"));
    }

    #[test]
    fn a_launch_has_the_users_command_variables_user_and_folder() {
        let mut request = Request::example();
        request.runtime.cmd = vec!["--help".to_owned()];
        request.runtime.workdir = Some(ImagePath::parse("/data").unwrap());
        request.runtime.env.insert("A".to_owned(), "1".to_owned());
        let scripts = [script("tool", "tool")];
        let launch = launched(&scripts, &request).unwrap();
        assert_eq!(launch.argv(), ["/opt/app/bin/tool", "--help"]);
        assert_eq!(
            launch.env,
            [
                "A=1",
                "HOME=/home/app",
                "LANG=C.UTF-8",
                "PATH=/opt/app/bin:/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin",
                "PYTHONUSERBASE=/opt/app",
                "USER=app",
            ]
        );
        assert_eq!((launch.uid(), &launch.workdir), ("65532", &request.runtime.workdir));
        request.runtime.scripts = vec!["typo".to_owned()];
        let error = launched(&scripts, &request).unwrap_err();
        assert_eq!(error.to_string(), "cannot run `typo`: no distribution of the image installs it; it has `tool`");
    }

    #[test]
    fn a_zone_that_the_image_lacks_is_a_warning_that_names_its_package() {
        let mut tree = Tree::default();
        let warning = |tree: &Tree, value: &str| {
            zone_warning(&Launch { env: vec![format!("TZ={value}")], ..Launch::default() }, tree)
        };
        let words = |zone: &str, value: &str, advice: &str| {
            Some(format!("the image has no time zone `{zone}`, so programs use UTC in spite of `TZ={value}`: {advice}"))
        };
        let of_package = |package: &str| format!("add it with `--with {package}`");
        assert_eq!(warning(&tree, "Asia/Tokyo"), words("Asia/Tokyo", "Asia/Tokyo", &of_package("tzdata")));
        let path = ImagePath::parse("/usr/share/zoneinfo/Asia/Tokyo").unwrap();
        tree.insert(path, Node::file(Digest::of(b"x"), 1, 0o644, Origin::Lath));
        assert_eq!(warning(&tree, ":Asia/Tokyo"), None);
        assert_eq!(warning(&tree, "JST-9"), None);
        assert_eq!(warning(&tree, ":US/Pacific"), words("US/Pacific", ":US/Pacific", &of_package("tzdata-legacy")));
        assert_eq!(warning(&tree, "Asia/Tokio"), words("Asia/Tokio", "Asia/Tokio", "check its spelling"));
    }
}
