//! Settings -> how the image runs: the command, volumes, signals, files and their owners.

use std::path::PathBuf;

use crate::cli::defaults;
use crate::cli::failure::Failure;
use crate::cli::layers::Settings;
use crate::cli::values::{all, pairs, shell_hint, usage, words};
use crate::model::image_path::ImagePath;
use crate::model::request::{Copied, Healthcheck, Owner, RuntimeRequest, Volume, WrittenScript};

/// The largest user and group id that engines accept (`maxID` of github.com/moby/sys/user).
const MAX_ID: u64 = 2_147_483_647;

/// The signals of Linux by their names (signal(7)), without real-time signals.
const SIGNALS: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM",
    "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO",
    "PWR", "SYS",
];
/// The highest number of a signal, which is the number of a real-time signal.
const MAX_SIGNAL: u8 = 64;

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_id(text: &str) -> bool {
    is_digits(text) && text.parse::<u64>().is_ok_and(|id| id <= MAX_ID)
}

/// Returns how the image runs. `default_workdir` is the work directory that the image gets if the user named none.
pub(super) fn runtime(settings: &Settings, default_workdir: Option<&str>) -> Result<RuntimeRequest, Failure> {
    let user = settings.user.as_deref().unwrap_or(defaults::USER);
    if !user.split(':').all(is_id) || user.split(':').count() > 2 {
        return Err(usage(format!(
            "cannot run as `{user}`: write `UID` or `UID:GID`, in digits, each at most {MAX_ID}"
        )));
    }
    let written_scripts = written_scripts(settings)?;
    let name = |selector: &String| match selector_of(selector) {
        Some(script) => script.name,
        None => selector.clone(),
    };
    Ok(RuntimeRequest {
        command: all(&settings.run),
        module: settings.module.as_deref().map(module).transpose()?,
        scripts: settings.script.iter().flatten().map(name).collect(),
        written_scripts,
        entrypoint: settings.entrypoint.unwrap_or(defaults::ENTRYPOINT),
        shell: settings.shell.unwrap_or(false),
        cmd: all(&settings.cmd),
        env: pairs("--env", &all(&settings.env))?,
        labels: pairs("--label", &all(&settings.label))?,
        annotations: pairs("--annotation", &all(&settings.annotation))?,
        user: user.to_owned(),
        workdir: settings.workdir.as_deref().or(default_workdir).map(workdir).transpose()?,
        expose: expose(settings)?,
        volumes: image_volumes(settings)?,
        stop_signal: settings.stop_signal.as_deref().map(stop_signal).transpose()?,
        healthcheck: healthcheck(settings)?,
    })
}

/// Refuses a layer of settings, such as one file, that sets the command with more than one option.
pub(super) fn refuse_two_commands(settings: &Settings) -> Result<(), Failure> {
    let ways = [settings.run.is_some(), settings.module.is_some(), settings.script.is_some()];
    if ways.into_iter().filter(|is_named| *is_named).count() > 1 {
        return Err(usage("cannot run several commands: name only one of `run`, `module` and `script`"));
    }
    Ok(())
}

fn is_dotted(text: &str) -> bool {
    let is_name = |name: &str| {
        !name.is_empty()
            && !name.starts_with(|first: char| first.is_ascii_digit())
            && name.chars().all(|letter| letter.is_alphanumeric() || letter == '_')
    };
    text.split('.').all(is_name)
}

fn module(text: &str) -> Result<String, Failure> {
    if !is_dotted(text) {
        return Err(usage(format!("cannot run the module `{text}`: write its name with dots, such as `app.main`")));
    }
    Ok(text.to_owned())
}

/// Reads a selector of a function, `MODULE:FUNCTION` or `NAME=MODULE:FUNCTION`. `None` if `text` is the name of a
/// script.
fn selector_of(text: &str) -> Option<WrittenScript> {
    let (name, target) = text.split_once('=').map_or((None, text), |(name, target)| (Some(name), target));
    let (module, function) = target.split_once(':')?;
    // Without `NAME=`, the name is made from the module and the function, because such a name is unlikely to be that of
    // another script.
    let own = || format!("{module}.{function}").replace(['.', '_'], "-");
    let name = name.map_or_else(own, str::to_owned);
    Some(WrittenScript { name, module: module.to_owned(), function: function.to_owned() })
}

fn written_scripts(settings: &Settings) -> Result<Vec<WrittenScript>, Failure> {
    let mut names: Vec<String> = Vec::new();
    let mut written = Vec::new();
    for text in settings.script.iter().flatten() {
        let script = selector_of(text);
        let name = script.as_ref().map_or_else(|| text.clone(), |script| script.name.clone());
        if names.contains(&name) {
            return Err(usage(format!(
                "cannot run two entry points named `{name}`: give one another name, `NAME=MODULE:FUNCTION`"
            )));
        }
        if let Some(script) = script {
            let is_name = ImagePath::parse(&name).is_ok() && !name.contains(['/', ':']) && !name.starts_with('.');
            if !is_name || name.is_empty() || !is_dotted(&script.module) || !is_dotted(&script.function) {
                return Err(usage(format!(
                    "cannot run `{text}`: write the name of a console script, `MODULE:FUNCTION` or `NAME=MODULE:FUNCTION`"
                )));
            }
            written.push(script);
        }
        names.push(name);
    }
    Ok(written)
}

fn workdir(text: &str) -> Result<ImagePath, Failure> {
    if !text.starts_with('/') {
        return Err(usage(format!("cannot start in `{text}`: write a path of the image that begins with `/`")));
    }
    ImagePath::parse(text).map_err(usage)
}

fn expose(settings: &Settings) -> Result<Vec<String>, Failure> {
    let mut expose = Vec::new();
    for port in all(&settings.expose) {
        let (number, protocol) = port.split_once('/').unwrap_or((&port, "tcp"));
        if number.parse::<u16>().is_err() || !["tcp", "udp", "sctp"].contains(&protocol) {
            return Err(usage(format!("cannot expose `{port}`: write it as `8080` or `8080/udp`")));
        }
        expose.push(format!("{number}/{protocol}"));
    }
    Ok(expose)
}

/// Reads the volumes of an image. Each is a path in the image.
fn image_volumes(settings: &Settings) -> Result<Vec<ImagePath>, Failure> {
    let mut volumes = Vec::new();
    for text in all(&settings.volume) {
        let path = ImagePath::parse(&text).map_err(usage)?;
        if !text.starts_with('/') || text.contains(':') || path == ImagePath::root() {
            return Err(usage(format!(
                "cannot keep `{text}` in a volume: write a folder of the image that begins with `/`; the place on a \
                 machine is chosen by `docker run --volume`"
            )));
        }
        if !volumes.contains(&path) {
            volumes.push(path);
        }
    }
    Ok(volumes)
}

/// Reads a signal as engines do: `SIGTERM`, `TERM`, `SIGRTMIN+3` or `15`.
fn stop_signal(text: &str) -> Result<String, Failure> {
    let is_number = |text: &str, most: u8| text.parse::<u8>().is_ok_and(|number| (1..=most).contains(&number));
    if is_digits(text) && is_number(text, MAX_SIGNAL) {
        return Ok(text.to_owned());
    }
    let upper = text.to_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let is_real_time = name == "RTMIN"
        || name == "RTMAX"
        || name.strip_prefix("RTMIN+").is_some_and(|number| is_number(number, 15))
        || name.strip_prefix("RTMAX-").is_some_and(|number| is_number(number, 14));
    if SIGNALS.contains(&name) || is_real_time {
        return Ok(format!("SIG{name}"));
    }
    Err(usage(format!(
        "cannot stop the program with `{text}`: write the name or the number of a signal, `SIGTERM` or `15`"
    )))
}

fn healthcheck(settings: &Settings) -> Result<Option<Healthcheck>, Failure> {
    let Some(line) = &settings.healthcheck else { return Ok(None) };
    let command = words(line).map_err(|why| {
        usage(format!("cannot read the health check `{line}`: {why}")).with_hints(shell_hint(line, "`--shell`"))
    })?;
    let time = |text: &Option<String>| text.as_deref().map(seconds).transpose();
    Ok(Some(Healthcheck {
        command,
        interval_secs: time(&settings.healthcheck_interval)?,
        timeout_secs: time(&settings.healthcheck_timeout)?,
        start_period_secs: time(&settings.healthcheck_start_period)?,
        retries: settings.healthcheck_retries,
    }))
}

/// Reads a time in whole seconds, minutes or hours: `30`, `30s`, `5m`, `1h`.
fn seconds(text: &str) -> Result<u64, Failure> {
    let (number, factor) = match text.strip_suffix(['s', 'm', 'h']) {
        Some(number) if text.ends_with('s') => (number, 1),
        Some(number) if text.ends_with('m') => (number, 60),
        Some(number) => (number, 3600),
        None => (text, 1),
    };
    let secs = number.parse::<u64>().ok().filter(|secs| *secs > 0 && is_digits(number));
    secs.and_then(|secs| secs.checked_mul(factor))
        .ok_or_else(|| usage(format!("cannot read the time `{text}`: write it as `30s`, `5m` or `1h`")))
}

/// Splits `SRC:DST`: a path of this machine, and an absolute path in the image.
fn places(text: &str) -> Option<(&str, &str)> {
    text.rsplit_once(':').filter(|(source, target)| !source.is_empty() && target.starts_with('/'))
}

/// Reads `SRC:DST[:MODE[:UID[:GID]]]`.
pub(super) fn copies(settings: &Settings) -> Result<Vec<Copied>, Failure> {
    let mut copies = Vec::new();
    for text in all(&settings.copy) {
        let copied = copied(&text).ok_or_else(|| {
            usage(format!(
                "cannot copy `{text}`: write it as `SRC:DST` or `SRC:DST:MODE:UID:GID`, DST beginning with `/`, MODE in \
                 octal digits"
            ))
        })?;
        if !copied.source.exists() {
            return Err(usage(format!("cannot copy `{}`: there is no such file or folder", copied.source.display())));
        }
        let target = ImagePath::parse(copied.target).map_err(usage)?;
        copies.push(Copied { source: copied.source, target, mode: copied.mode, owner: copied.owner });
    }
    Ok(copies)
}

/// A value of `--copy` whose path in the image is not checked yet.
struct Written<'a> {
    source: PathBuf,
    target: &'a str,
    mode: Option<u32>,
    owner: Owner,
}

fn copied(text: &str) -> Option<Written<'_>> {
    let mut pair = text;
    let mut numbers = Vec::new();
    // Removes the numbers at the end (GID, UID, MODE), until the last part is the path.
    while let Some((rest, last)) = pair.rsplit_once(':').filter(|(_, last)| last.is_empty() || is_digits(last)) {
        numbers.insert(0, last);
        pair = rest;
    }
    let (source, target) = places(pair)?;
    let mode = match numbers.first() {
        None | Some(&"") => None,
        Some(digits) if (3..=4).contains(&digits.len()) => Some(u32::from_str_radix(digits, 8).ok()?),
        Some(_) => return None,
    };
    let id = |place: usize| match numbers.get(place) {
        None => Some(None),
        Some(digits) => is_id(digits).then(|| digits.parse().ok()),
    };
    let user: u32 = id(1)?.unwrap_or_default();
    let group = id(2)?.unwrap_or(user);
    (numbers.len() <= 3).then(|| Written { source: source.into(), target, mode, owner: Owner { user, group } })
}

/// Splits `SRC:DST` or `SRC:DST:ro`, as engines do. SRC is relative to the current folder.
pub(super) fn mounts(settings: &Settings) -> Result<Vec<Volume>, Failure> {
    let mut volumes = Vec::new();
    for text in all(&settings.mount) {
        let (pair, is_read_only) = match text.rsplit_once(':') {
            Some((pair, "ro")) => (pair, true),
            Some((pair, "rw")) => (pair, false),
            _ => (text.as_str(), false),
        };
        let (source, target) = places(pair)
            .ok_or_else(|| usage(format!("cannot mount `{text}`: write it as `SRC:DST`, DST beginning with `/`")))?;
        let source = fs_err::canonicalize(source).map_err(|error| usage(format!("cannot mount `{text}`: {error}")))?;
        let target = ImagePath::parse(target).map_err(usage)?;
        if target == ImagePath::root() {
            return Err(usage(format!("cannot mount `{text}`: nothing can be mounted on the root of the image")));
        }
        volumes.push(Volume { source, target, is_read_only });
    }
    Ok(volumes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_is_read_as_engines_read_it() {
        let given = |text: &str| Settings { mount: Some(vec![text.to_owned()]), ..Settings::default() };
        let volume = |text: &str| mounts(&given(text)).map_err(|failure| failure.to_string());
        let read = volume("/usr:/src:ro").unwrap();
        let target = ImagePath::parse("/src").unwrap();
        assert_eq!(read, [Volume { source: "/usr".into(), target, is_read_only: true }]);
        assert!(volume(".:/src").unwrap()[0].source.is_absolute());
        for text in ["/usr", "/usr:src", ":/src", "/usr:/", "/not-here:/src", "/usr:/../x"] {
            assert!(volume(text).unwrap_err().contains("cannot mount") || text.contains(".."), "{text}");
        }
    }

    #[test]
    fn a_copy_has_a_mode_and_an_owner_after_its_paths() {
        let read = |text: &str| {
            copied(text).map(|one| (one.source, one.target.to_owned(), one.mode, one.owner.user, one.owner.group))
        };
        let expected = |source: &str, mode, user, group| Some((source.into(), "/b".to_owned(), mode, user, group));
        assert_eq!(read("a:/b"), expected("a", None, 0, 0));
        assert_eq!(read("a:c:/b:640"), expected("a:c", Some(0o640), 0, 0));
        assert_eq!(read("a:/b:0755:7"), expected("a", Some(0o755), 7, 7));
        assert_eq!(read("a:/b::7:8"), expected("a", None, 7, 8));
        for text in
            ["a", "a:b", ":/b", "a:/b:999", "a:/b:6", "a:/b:x", "a:/b:644:4294967296", "a:/b:644:1:2:3", "a:/b:644:x"]
        {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn a_selector_is_a_name_or_a_function() {
        let read = |selectors: &[&str]| {
            let script = Some(selectors.iter().map(|text| (*text).to_owned()).collect());
            runtime(&Settings { script, ..Settings::default() }, None).map_err(|failure| failure.to_string())
        };
        let request = read(&["tool", "my_app.cli:main", "serve=my_app.web:App.run"]).unwrap();
        assert_eq!(request.scripts, ["tool", "my-app-cli-main", "serve"]);
        let written: Vec<String> =
            request.written_scripts.iter().map(|one| format!("{}={}:{}", one.name, one.module, one.function)).collect();
        assert_eq!(written, ["my-app-cli-main=my_app.cli:main", "serve=my_app.web:App.run"]);
        for selectors in [["a=m:f", "a=n:g"], ["m:f", "m-f"]] {
            assert!(read(&selectors).unwrap_err().contains("cannot run two entry points named"), "{selectors:?}");
        }
        for selector in ["=m:f", "a=m:", "a=:f", "a/b=m:f", "m:f()", "m.:f", ".a=m:f"] {
            assert!(read(&[selector]).unwrap_err().contains(&format!("cannot run `{selector}`")), "{selector}");
        }
    }

    #[test]
    fn signals_and_times_are_read_as_engines_read_them() {
        for (text, signal) in [("SIGINT", "SIGINT"), ("term", "SIGTERM"), ("15", "15"), ("RTMIN+3", "SIGRTMIN+3")] {
            assert_eq!(stop_signal(text).unwrap(), signal);
        }
        for text in ["", "0", "65", "SIGNAL", "SIGRTMIN+16", "-9", "+9"] {
            assert!(stop_signal(text).unwrap_err().to_string().contains("cannot stop the program"), "{text}");
        }
        for (text, secs) in [("30", 30), ("30s", 30), ("5m", 300), ("2h", 7200)] {
            assert_eq!(seconds(text).unwrap(), secs);
        }
        for text in ["", "0s", "m", "1d", "+1", "-1s", "99999999999999999999", "18446744073709551615h"] {
            assert!(seconds(text).unwrap_err().to_string().contains("cannot read the time"), "{text}");
        }
    }

    #[test]
    fn the_default_arguments_of_a_command_are_not_passed_to_another_command() {
        let file: Settings = toml::from_str("run = ['gunicorn', 'app:app']\ncmd = ['--bind=0.0.0.0']").unwrap();
        let over = |upper: &str| {
            let settings = toml::from_str::<Settings>(upper).unwrap().over(file.clone());
            (all(&settings.run).join(" "), all(&settings.cmd).join(" "))
        };
        let expected = |run: &str, cmd: &str| (run.to_owned(), cmd.to_owned());
        assert_eq!(over(""), expected("gunicorn app:app", "--bind=0.0.0.0"));
        assert_eq!(over("run = ['celery', 'worker']"), expected("celery worker", ""));
        assert_eq!(over("module = 'http.server'"), expected("", ""));
        assert_eq!(over("run = ['celery']\ncmd = ['-l=info']"), expected("celery", "-l=info"));
        assert_eq!(over("cmd = ['--reload']"), expected("gunicorn app:app", "--reload"));
    }

    #[test]
    fn of_several_commands_in_one_file_none_counts() {
        let settings: Settings = toml::from_str("run = ['a']\nmodule = 'b'").unwrap();
        assert!(refuse_two_commands(&settings).is_err());
        let typed: Settings = toml::from_str("module = 'b'").unwrap();
        let file: Settings = toml::from_str("run = ['a', 'b']").unwrap();
        assert!(refuse_two_commands(&typed.clone().over(file.clone())).is_ok());
        assert_eq!(typed.clone().over(file.clone()).run, None);
        assert_eq!(file.over(typed).module, None);
    }
}
