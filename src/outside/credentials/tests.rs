//! The files and the programs of Docker and Podman.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::registries::{Found, RegistryCredentials, StoreLoginError, Stored};
use super::{Login, RegistryLogin};
use crate::model::world_settings::RegistryLogins;

/// A home with files and programs.
struct Home(TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        std::fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    /// Writes a program that keeps its credentials in a file of the home.
    fn helper(&self, name: &str) {
        let kept = self.path("kept.json").display().to_string();
        let script = format!(
            "#!/bin/sh\ncase $1 in\nstore) cat >'{kept}';;\nerase) rm '{kept}';;\nget) cat '{kept}' 2>/dev/null || \
             {{ echo 'credentials not found in native keychain'; exit 1; }};;\nesac\n"
        );
        let path = self.write(&format!("docker-credential-{name}"), &script);
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn places(&self) -> RegistryLogins {
        RegistryLogins {
            files: ["named.json", "config.json", "auth.json"].map(|name| self.path(name)).to_vec(),
            docker_file: Some(self.path("config.json")),
            search_path: vec![self.path("")],
            ..RegistryLogins::default()
        }
    }

    fn credentials(&self) -> RegistryCredentials {
        RegistryCredentials::new(self.places())
    }
}

/// Returns credentials and their source as one text.
fn shown(found: &Found, home: &Home) -> String {
    let login = match &found.login {
        None => "nothing".to_owned(),
        Some(RegistryLogin::Password(login)) => format!("{}/{}", login.user, login.password),
        Some(RegistryLogin::Identity(token)) => format!("identity {}", token.exposed()),
        Some(RegistryLogin::Bearer(token)) => format!("bearer {}", token.exposed()),
    };
    let tried = found.tried("HOST").to_string().replace(&home.path("").display().to_string(), "");
    format!("{login}; {tried}")
}

fn auth(pair: &str) -> String {
    testkit::digest::base64(pair.as_bytes())
}

#[test]
fn the_entry_of_the_nearest_namespace_counts() {
    let home = Home::new();
    home.write(
        "auth.json",
        &format!(
            r#"{{"auths":{{"host.example":{{"auth":"{}"}},"host.example/team":{{"auth":"{}"}},
            "host.example/team/app":{{"auth":"{}"}},"https://index.docker.io/v1/":{{"auth":"{}"}},
            "id.example":{{"auth":"{}","identitytoken":"t"}},"reg.example":{{"registrytoken":"r"}},
            "plain.example":{{"username":"u","password":"p"}},"empty.example":{{}},"null.example":null}}}}"#,
            auth("a:1"),
            auth("b:2:2"),
            auth("c:3"),
            auth("hub:4"),
            auth("x:")
        ),
    );
    let credentials = home.credentials();
    let table = [
        ("host.example", "other", "a/1"),
        ("host.example", "team/x", "b/2:2"),
        ("host.example", "team/app", "c/3"),
        ("host.example", "team/app/more", "c/3"),
        ("host.example", "teams", "a/1"),
        ("host.example", "", "a/1"),
        ("docker.io", "library/python", "hub/4"),
        ("id.example", "x", "identity t"),
        ("reg.example", "x", "bearer r"),
        ("plain.example", "x", "u/p"),
        ("empty.example", "x", "nothing"),
        ("null.example", "x", "nothing"),
        ("host.example:5000", "x", "nothing"),
        ("example", "x", "nothing"),
    ];
    for (registry, repository, expected) in table {
        let found = shown(&credentials.of(registry, repository), &home);
        assert_eq!(found.split(';').next().unwrap(), expected, "{registry}/{repository}");
    }
}

#[test]
fn the_places_have_an_order() {
    let home = Home::new();
    let mut places = home.places();
    places.given = Some(("env".to_owned(), "secret".into()));
    places.github_token = Some("token".into());
    let show = |places: &RegistryLogins, registry: &str| {
        shown(&RegistryCredentials::new(places.clone()).of(registry, "x"), &home)
    };
    let from = |source: &str| format!("the credentials for `HOST` came from {source}");
    assert_eq!(show(&places, "ghcr.io"), format!("lath/token; {}", from("`GITHUB_TOKEN`")));
    assert_eq!(show(&places, "host.example"), "nothing; there are no credentials for `HOST`");
    for (name, user) in [("auth.json", "podman"), ("config.json", "docker"), ("named.json", "named")] {
        let entry = format!(r#"{{"auth":"{}"}}"#, auth(&format!("{user}:p")));
        home.write(name, &format!(r#"{{"auths":{{"host.example":{entry},"ghcr.io":{entry}}}}}"#));
        assert_eq!(show(&places, "host.example"), format!("{user}/p; {}", from(&format!("`{name}`"))));
        assert_eq!(show(&places, "ghcr.io"), format!("{user}/p; {}", from(&format!("`{name}`"))));
    }
    places.destinations = vec!["host.example".to_owned()];
    let variables = from("`LATH_REGISTRY_USER` and `LATH_REGISTRY_PASSWORD`");
    assert_eq!(show(&places, "host.example"), format!("env/secret; {variables}"));
    assert_eq!(show(&places, "other.example"), "nothing; there are no credentials for `HOST`");
    // The file of a project may come from a stranger.
    places.of_project = places.destinations.clone();
    assert_eq!(show(&places, "host.example"), format!("named/p; {}", from("`named.json`")));
    places.files.clear();
    let withheld = "nothing; `LATH_REGISTRY_USER` and `LATH_REGISTRY_PASSWORD` are not sent to `HOST`, because only the \
                    file of the project names this registry: if you trust it, name it with `-t` or `--repo`";
    assert_eq!(show(&places, "host.example"), withheld);
    places.files = home.places().files;
    places.of_project.clear();
    // If there are two destinations, it is unclear to which one the credentials belong.
    places.destinations.push("other.example".to_owned());
    assert_eq!(show(&places, "host.example"), format!("named/p; {}", from("`named.json`")));
    assert_eq!(show(&places, "other.example"), "nothing; there are no credentials for `HOST`");
}

#[test]
fn programs_keep_credentials() {
    let home = Home::new();
    home.helper("own");
    home.write("config.json", r#"{"credsStore":"gone","credHelpers":{"host.example":"own"}}"#);
    let show = |registry: &str| shown(&home.credentials().of(registry, "x"), &home);
    assert_eq!(show("host.example"), "nothing; there are no credentials for `HOST`");
    home.write("kept.json", r#"{"ServerURL":"host.example","Username":"me","Secret":"s"}"#);
    let source = "the credentials for `HOST` came from the program `docker-credential-own`, which `config.json` names";
    assert_eq!(show("host.example"), format!("me/s; {source}"));
    home.write("kept.json", r#"{"Username":"<token>","Secret":"s"}"#);
    assert!(show("host.example").starts_with("identity s; "));
    home.write("kept.json", r#"{"Password":"s"}"#);
    let form = "nothing; there are no credentials for `HOST`: the answer of the program `docker-credential-own` is not \
                what Docker's programs answer";
    assert_eq!(show("host.example"), form);
    let missing =
        "nothing; there are no credentials for `HOST`: cannot find the program `docker-credential-gone` in `PATH`";
    assert_eq!(show("other.example"), missing);
}

#[test]
fn a_file_that_cannot_be_read_is_told_without_its_contents() {
    let home = Home::new();
    let show = || shown(&home.credentials().of("host.example", "x"), &home);
    home.write("config.json", "{\"auths\": {\"host.example\": \"s3cret\"}}");
    let form = "nothing; there are no credentials for `HOST`: cannot read `config.json`: line 1, column 35 is not JSON \
                of the form that Docker and Podman write";
    assert_eq!(show(), form);
    home.write("config.json", r#"{"auths":{"host.example":{"auth":"s3cret"}}}"#);
    let entry = "nothing; there are no credentials for `HOST`: cannot read the entry `host.example` of `config.json`: \
                 `auth` must be the base64 of `NAME:PASSWORD`";
    assert_eq!(show(), entry);
    home.write("config.json", "");
    assert_eq!(show(), "nothing; there are no credentials for `HOST`");
}

fn login() -> Login {
    Login { user: "me".to_owned(), password: "s3cret".to_owned() }
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_login_is_written_as_docker_writes_it() {
    let home = Home::new();
    let mut places = home.places();
    let path = home.path("new/config.json");
    places.docker_file = Some(path.clone());
    let credentials = RegistryCredentials::new(places);
    assert_eq!(credentials.store("docker.io", &login()).unwrap(), Stored::File(path.clone()));
    let json = |path: &Path| -> serde_json::Value { serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap() };
    let expected = serde_json::json!({ "auths": { "https://index.docker.io/v1/": { "auth": auth("me:s3cret") } } });
    assert_eq!(json(&path), expected);
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    // Other keys are preserved, an older entry is replaced, and a link remains a link.
    let kept =
        r#"{"HttpHeaders":{"a":"b"},"auths":{"https://host.example/v1/":{"auth":"eDp5"},"other":{}},"psFormat":"x"}"#;
    home.write("real.json", kept);
    fs_err::remove_file(&path).unwrap();
    fs_err::os::unix::fs::symlink(home.path("real.json"), &path).unwrap();
    credentials.store("host.example", &login()).unwrap();
    assert!(path.is_symlink());
    let entry = serde_json::json!({ "auth": auth("me:s3cret") });
    let auths = serde_json::json!({ "host.example": entry, "other": {} });
    let expected = serde_json::json!({ "HttpHeaders": { "a": "b" }, "auths": auths, "psFormat": "x" });
    assert_eq!(json(&home.path("real.json")), expected);
    assert!(credentials.remove("host.example").unwrap());
    assert!(!credentials.remove("host.example").unwrap());
    assert_eq!(json(&path)["auths"], serde_json::json!({ "other": {} }));
    // A file that lath cannot read is not changed.
    home.write("real.json", "{\"auths\": [");
    assert!(matches!(credentials.store("host.example", &login()), Err(StoreLoginError::File(_))));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"auths\": [");
}

#[test]
fn with_a_program_no_password_is_written_to_the_file() {
    let home = Home::new();
    home.helper("own");
    home.write("config.json", r#"{"credsStore":"own"}"#);
    let text = || std::fs::read_to_string(home.path("config.json")).unwrap();
    let stored = home.credentials().store("host.example", &login()).unwrap();
    assert_eq!(stored, Stored::Helper("docker-credential-own".to_owned()));
    let kept = std::fs::read_to_string(home.path("kept.json")).unwrap();
    assert_eq!(kept, r#"{"Secret":"s3cret","ServerURL":"host.example","Username":"me"}"#);
    assert!(text().contains("host.example") && !text().contains("auth\"") && !text().contains("s3cret"));
    assert!(home.credentials().remove("host.example").unwrap());
    assert!(!home.path("kept.json").exists() && !text().contains("host.example"));
    // If the program is missing, the password is not written to any file.
    let before = r#"{"credsStore":"gone"}"#;
    home.write("config.json", before);
    let error = home.credentials().store("host.example", &login()).unwrap_err();
    assert!(matches!(error, StoreLoginError::Helper { .. }), "{error}");
    assert_eq!(text(), before);
}
