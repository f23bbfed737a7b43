//! The settings of registries of images: insecure registries, mirrors, and the places of credentials.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::registries;
use crate::cli::environment::Environment;
use crate::cli::failure::Failure;
use crate::cli::layers::Settings;
use crate::cli::outputs;
use crate::cli::values::{all, usage};
use crate::model::destination::Destination;
use crate::model::image_reference::ImageReference;
use crate::model::secret_text::public;
use crate::model::world_settings::{RegistryLogins, RegistrySettings};

pub(super) fn settings(settings: &Settings, environment: &Environment) -> Result<RegistrySettings, Failure> {
    let mut insecure = Vec::new();
    for host in all(&settings.insecure_registry) {
        insecure.push(registry(&host)?);
    }
    let mut mirrors: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for text in all(&settings.registry_mirror) {
        let (of, mirror) = text.split_once('=').ok_or_else(|| unreadable_mirror(&text))?;
        let host = place(mirror).split('/').next().unwrap_or_default();
        registry(host).map_err(|_| unreadable_mirror(&text))?;
        if mirror.starts_with("http://")
            && !insecure.iter().any(|insecure| insecure == host)
            && !registries::is_loopback(host)
        {
            return Err(usage(format!(
                "cannot use the mirror `{mirror}`: it has no TLS; if you trust the network, add `--insecure-registry {host}`"
            )));
        }
        mirrors.entry(registry(of)?).or_default().push(place(mirror).to_owned());
    }
    Ok(RegistrySettings { insecure, mirrors, logins: environment.registry_logins() })
}

/// Lists the registries to which a run pushes `images`, and those of them that only the file of a project names. `trusted`
/// are the settings of all images without those of this file.
pub(super) fn name_destinations(logins: &mut RegistryLogins, images: &[Settings], trusted: &[Settings]) {
    logins.destinations = destinations(images);
    let trusted = destinations(trusted);
    logins.of_project = logins.destinations.iter().filter(|registry| !trusted.contains(registry)).cloned().collect();
}

/// Returns the name of the registry in `text`, such as `docker.io` or `localhost:5000`. Refuses a text that is not a
/// registry.
pub(super) fn registry(text: &str) -> Result<String, Failure> {
    let name = registries::of_key(text);
    let image = format!("{name}/x").parse::<ImageReference>();
    match image {
        Ok(image) if image.registry == name => Ok(name),
        _ => Err(usage(format!(
            "`{}` is not a registry: write `HOST` or `HOST:PORT`, such as `ghcr.io` or `localhost:5000`",
            public(text)
        ))),
    }
}

/// Returns the registries to which a run pushes `images`.
fn destinations(images: &[Settings]) -> Vec<String> {
    let named = images.iter().flat_map(|settings| all(&settings.output)).filter_map(|output| match output.parse() {
        Ok(Destination::Registry(image)) => Some(image.registry),
        _ => None,
    });
    let pushed = images.iter().flat_map(outputs::pushed_registries);
    named.chain(pushed).collect::<BTreeSet<String>>().into_iter().collect()
}

/// Returns a mirror without its scheme.
fn place(mirror: &str) -> &str {
    mirror.split_once("://").map_or(mirror, |(_, place)| place).trim_end_matches('/')
}

fn unreadable_mirror(text: &str) -> Failure {
    usage(format!(
        "cannot read the mirror `{}`: write `REGISTRY=HOST[:PORT][/PREFIX]`, such as `docker.io=mirror.example`",
        public(text)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(insecure: &[&str], mirrors: &[&str]) -> Result<RegistrySettings, String> {
        let texts = |texts: &[&str]| Some(texts.iter().map(|text| (*text).to_owned()).collect());
        let layer = Settings {
            insecure_registry: texts(insecure),
            registry_mirror: texts(mirrors),
            output: texts(&["docker://b.example/x:1", "docker://a.example/x", "docker://b.example/y", "x.tar"]),
            ..Settings::default()
        };
        let mut read = settings(&layer, &Environment::default()).map_err(|failure| failure.to_string())?;
        name_destinations(&mut read.logins, std::slice::from_ref(&layer), &[]);
        Ok(read)
    }

    #[test]
    fn the_registries_of_all_images_are_destinations() {
        let image = |output: &str| Settings { output: Some(vec![output.to_owned()]), ..Settings::default() };
        let images = [image("docker://b.example/x"), image("docker://a.example/y"), image("x.tar")];
        assert_eq!(destinations(&images), ["a.example", "b.example"]);
        assert_eq!(destinations(&images[..1]), ["b.example"]);
    }

    #[test]
    fn a_registry_that_only_the_file_of_a_project_names_gets_no_password() {
        // The settings of the project, those of the user, and the registries that only the project names.
        let table: [(&str, &str, &[&str]); 9] = [
            ("tag = ['evil.example/x']", "push = true", &["evil.example"]),
            ("tag = ['evil.example/x']", "push = true\nrepo = 'good.example/me'", &["evil.example"]),
            ("repo = 'evil.example'", "push = true", &["evil.example"]),
            ("repo = 'evil.example'", "push = true\ntag = ['x']", &["evil.example"]),
            ("repo = 'evil.example'", "push = true\ntag = ['me/x']", &["evil.example"]),
            ("tag = ['x']", "push = true\nrepo = 'good.example/me'", &[]),
            ("tag = ['evil.example/x']", "push = true\ntag = ['good.example/x']", &[]),
            ("tag = ['good.example/other']", "push = true\ntag = ['good.example/x', '...']", &[]),
            ("tag = ['evil.example/x']", "output = ['docker://good.example/x']", &[]),
        ];
        for (project, user, expected) in table {
            let [project, trusted] = [project, user].map(|text| toml::from_str::<Settings>(text).unwrap());
            let whole = trusted.clone().over(project).complete();
            let mut logins = settings(&whole, &Environment::default()).unwrap().logins;
            name_destinations(&mut logins, &[whole], &[trusted.complete()]);
            assert_eq!(logins.of_project, expected, "{user}");
        }
    }

    #[test]
    fn mirrors_and_insecure_registries_are_hosts() {
        let read_well = read(&["a.example:5000"], &["docker.io=m.example", "index.docker.io=https://n.example/hub/"]);
        let RegistrySettings { insecure, mirrors, logins } = read_well.unwrap();
        assert_eq!(insecure, ["a.example:5000"]);
        assert_eq!(mirrors["docker.io"], ["m.example", "n.example/hub"]);
        assert_eq!(logins.destinations, ["a.example", "b.example"]);
        assert_eq!(read(&["m.example"], &["docker.io=http://m.example"]).unwrap().mirrors.len(), 1);
        assert_eq!(read(&[], &["docker.io=http://127.0.0.1:5000/hub"]).unwrap().mirrors.len(), 1);
        let table: [(&[&str], &[&str], &str); 8] = [
            (&["https://me:s3cret@a"], &[], "`https://a` is not a registry"),
            (&[], &["docker.io=https://me:s3cret@m.example"], "cannot read the mirror `docker.io=https://m.example`"),
            (&["https://a/b"], &[], "is not a registry"),
            (&["plain"], &[], "is not a registry"),
            (&[], &["m.example"], "cannot read the mirror `m.example`"),
            (&[], &["docker.io=plain"], "cannot read the mirror `docker.io=plain`"),
            (&[], &["docker.io=http://m.example"], "add `--insecure-registry m.example`"),
            (&[], &["docker.io=http://localhost.example"], "add `--insecure-registry localhost.example`"),
        ];
        for (insecure, mirrors, expected) in table {
            let error = read(insecure, mirrors).unwrap_err();
            assert!(error.contains(expected) && !error.contains("s3cret"), "{insecure:?} {mirrors:?}: {error}");
        }
    }
}
