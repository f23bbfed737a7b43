//! Layers -> image: config, manifest and index, as defined by the OCI image specification 1.1.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use thiserror::Error;

use crate::model::assembly::{Assembly, InstalledScript, Program};
use crate::model::hint::Hints;
use crate::model::image::{Document, Image, Layer, PlatformImage};
use crate::model::lock;
use crate::model::platform::Platform;
use crate::model::request::{Entrypoint, Request};

const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

#[derive(Debug, Error)]
pub(crate) enum SealError {
    #[error("cannot run `{script}`: no distribution of the image installs it; it has {there}")]
    Script { script: String, there: String },
    #[error("cannot write `{epoch_secs}` seconds since 1970 as a date")]
    Epoch { epoch_secs: u64, source: jiff::Error },
    #[error("cannot write a document of the image")]
    Document(#[from] serde_json::Error),
}

impl Hints for SealError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::Script { .. } => vec!["name one of them with `-c NAME`".to_owned()],
            Self::Epoch { .. } | Self::Document(_) => Vec::new(),
        }
    }
}

/// One platform's share of an image.
pub(crate) struct Share<'a> {
    pub(crate) platform: Platform,
    pub(crate) layers: Vec<Layer>,
    pub(crate) assembly: &'a Assembly,
}

/// The command that an image starts: the entry point, and the default arguments that the user can replace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Start {
    pub(crate) entrypoint: Vec<String>,
    pub(crate) cmd: Vec<String>,
}

/// Combines all platforms into one image. There must be at least one share.
pub(crate) fn seal(shares: Vec<Share<'_>>, request: &Request) -> Result<Image, SealError> {
    let mut platforms = Vec::new();
    let programs = shares.first().map_or(&[][..], |share| &share.assembly.programs);
    let annotations = annotations(programs, request);
    for share in shares {
        platforms.push(seal_platform(share, request)?);
    }
    let index = if platforms.len() > 1 { Some(index(&platforms, &annotations)?) } else { None };
    Ok(Image { name: request.name.clone(), platforms, index })
}

fn seal_platform(share: Share<'_>, request: &Request) -> Result<PlatformImage, SealError> {
    let annotations = annotations(&share.assembly.programs, request);
    let config = Document::new(CONFIG, serde_json::to_vec(&config(&share, request, &annotations)?)?);
    let layers: Vec<Value> = share
        .layers
        .iter()
        .map(|layer| {
            json!({
                "mediaType": layer.media_type,
                "digest": layer.digest.0.prefixed(),
                "size": layer.size_bytes,
                "annotations": { "org.opencontainers.image.title": layer.title },
            })
        })
        .collect();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": descriptor(&config),
        "layers": layers,
        "annotations": annotations,
    });
    let manifest = Document::new(MANIFEST, serde_json::to_vec(&manifest)?);
    Ok(PlatformImage { platform: share.platform, layers: share.layers, config, manifest })
}

fn descriptor(document: &Document) -> Value {
    json!({
        "mediaType": document.media_type,
        "digest": document.digest.0.prefixed(),
        "size": document.bytes.len(),
    })
}

fn index(platforms: &[PlatformImage], annotations: &BTreeMap<String, String>) -> Result<Document, SealError> {
    let manifests: Vec<Value> = platforms
        .iter()
        .map(|image| {
            let mut descriptor = descriptor(&image.manifest);
            descriptor["platform"] = json!({ "architecture": image.platform.architecture.name(), "os": "linux" });
            descriptor
        })
        .collect();
    let index = json!({
        "schemaVersion": 2,
        "mediaType": INDEX,
        "manifests": manifests,
        "annotations": annotations,
    });
    Ok(Document::new(INDEX, serde_json::to_vec(&index)?))
}

/// Returns the pre-defined annotation keys (image-spec, annotations.md) with the metadata of the requested
/// distributions. The user's own annotations have priority. If there are several distributions, keys that can only
/// describe one are left out.
fn annotations(programs: &[Program], request: &Request) -> BTreeMap<String, String> {
    let joined = |one: &dyn Fn(&Program) -> String| programs.iter().map(one).collect::<Vec<_>>().join(", ");
    let mut told = vec![("base.name", Some(format!("{}:{}", request.base.distribution, request.base.suite)))];
    match programs {
        [] => {}
        [one] => told.extend([
            ("title", Some(one.name.clone())),
            ("version", Some(one.version.clone())),
            ("description", one.summary.clone()),
            ("licenses", one.licenses.clone()),
            ("url", one.homepage.clone()),
            ("source", one.source.clone()),
            ("documentation", one.documentation.clone()),
        ]),
        several => told.extend([
            ("title", Some(joined(&|program| program.name.clone()))),
            ("description", Some(joined(&|program| format!("{} {}", program.name, program.version)))),
            ("licenses", licenses(several)),
        ]),
    }
    let told = told.into_iter().filter_map(|(key, value)| Some((format!("org.opencontainers.image.{key}"), value?)));
    let mut annotations: BTreeMap<String, String> = told.collect();
    annotations.extend(request.runtime.annotations.clone());
    annotations
}

/// Returns all licences as one SPDX expression. `None` if one of them is not known.
fn licenses(programs: &[Program]) -> Option<String> {
    let all: Option<BTreeSet<&str>> = programs.iter().map(|program| program.licenses.as_deref()).collect();
    let in_brackets = |one: &str| if one.contains(" OR ") { format!("({one})") } else { one.to_owned() };
    Some(all?.into_iter().map(in_brackets).collect::<Vec<_>>().join(" AND "))
}

fn config(share: &Share<'_>, request: &Request, annotations: &BTreeMap<String, String>) -> Result<Value, SealError> {
    let epoch_secs = request.epoch_secs;
    let created = i64::try_from(epoch_secs).unwrap_or(i64::MAX);
    let created =
        jiff::Timestamp::from_second(created).map_err(|source| SealError::Epoch { epoch_secs, source })?.to_string();
    let start = start(share.assembly, request)?;
    let runtime = &request.runtime;
    let mut labels = annotations.clone();
    labels.extend(runtime.labels.clone());
    let mut run = Map::new();
    run.insert("User".to_owned(), json!(runtime.user));
    run.insert("Env".to_owned(), json!(environment(request)));
    if !start.entrypoint.is_empty() {
        run.insert("Entrypoint".to_owned(), json!(start.entrypoint));
    }
    if !start.cmd.is_empty() {
        run.insert("Cmd".to_owned(), json!(start.cmd));
    }
    if let Some(workdir) = &runtime.workdir {
        run.insert("WorkingDir".to_owned(), json!(workdir.as_str()));
    }
    if !runtime.expose.is_empty() {
        let ports: BTreeMap<&str, Value> = runtime.expose.iter().map(|port| (port.as_str(), json!({}))).collect();
        run.insert("ExposedPorts".to_owned(), json!(ports));
    }
    run.insert("Labels".to_owned(), json!(labels));
    let diff_ids: Vec<String> = share.layers.iter().map(|layer| layer.diff_id.0.prefixed()).collect();
    let history: Vec<Value> = share
        .layers
        .iter()
        .map(|layer| json!({ "created": created, "created_by": format!("lath: {}", layer.title) }))
        .collect();
    Ok(json!({
        "created": created,
        "architecture": share.platform.architecture.name(),
        "os": "linux",
        "config": run,
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
        "history": history,
    }))
}

/// Returns the variables as `NAME=VALUE`. The user's own have priority over lath's.
pub(crate) fn environment(request: &Request) -> Vec<String> {
    let path = request.user_base.bin() + ":/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin";
    let mut own = vec![
        // If a user is not in the image's `/etc/passwd`, an engine sets HOME to the root directory, which is not
        // writable.
        ("HOME", "/home/app".to_owned()),
        ("LANG", "C.UTF-8".to_owned()),
        ("PATH", path),
        ("PYTHONUSERBASE", request.user_base.to_string()),
    ];
    if !["0", "root"].contains(&request.runtime.uid()) {
        // A user that is not in `/etc/passwd` has no name, but `getpass.getuser()` reads this variable first.
        own.push(("USER", "app".to_owned()));
    }
    let mut all: BTreeMap<String, String> = own.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    all.extend(request.runtime.env.clone());
    all.into_iter().map(|(name, value)| format!("{name}={value}")).collect()
}

/// Returns the only script that has the same name as a requested distribution. If there are two, the user has requested
/// two programs.
fn namesake<'a>(scripts: &[&'a InstalledScript], requested: &[&str]) -> Option<&'a str> {
    let is_namesake = |script: &&&InstalledScript| requested.contains(&lock::namesake(&script.name).as_str());
    let mut namesakes = scripts.iter().filter(is_namesake);
    let first = namesakes.next()?;
    // Two distributions may contain the same script.
    namesakes.all(|other| other.name == first.name).then_some(first.name.as_str())
}

/// Returns the command that the image starts: the script that the user named, or the only script, or the one with its
/// distribution's name. If several scripts remain, lath does not guess. An image without scripts starts Python.
pub(crate) fn start(assembly: &Assembly, request: &Request) -> Result<Start, SealError> {
    let runtime = &request.runtime;
    let path = |name: &str| request.user_base.program(name);
    if runtime.entrypoint == Entrypoint::Shell {
        return Ok(Start { entrypoint: vec!["/bin/sh".to_owned(), "-c".to_owned()], cmd: runtime.cmd.clone() });
    }
    for script in &runtime.scripts {
        if !assembly.scripts.iter().any(|installed| installed.name == *script) {
            let names: Vec<String> = assembly.scripts.iter().map(|script| format!("`{}`", script.name)).collect();
            let there = if names.is_empty() { "none at all".to_owned() } else { names.join(", ") };
            return Err(SealError::Script { script: script.clone(), there });
        }
    }
    let requested: Vec<&InstalledScript> = assembly.scripts.iter().filter(|script| script.is_requested).collect();
    let program = match (runtime.scripts.as_slice(), requested.as_slice()) {
        ([one], _) => Some(one.as_str()),
        ([], [one]) => Some(one.name.as_str()),
        ([], several) => {
            let names: Vec<&str> = assembly.programs.iter().map(|program| program.name.as_str()).collect();
            namesake(several, &names)
        }
        (_, _) => None,
    };
    if let Some(program) = program {
        return Ok(Start { entrypoint: vec![path(program)], cmd: runtime.cmd.clone() });
    }
    // The image offers several programs. The command's first word selects one. Without a command, the first script that
    // the user named starts, or Python.
    let python = vec![request.python.version.interpreter()];
    if runtime.scripts.is_empty() && requested.is_empty() {
        return Ok(Start { entrypoint: python, cmd: runtime.cmd.clone() });
    }
    let default = runtime.scripts.first().map_or(python, |name| vec![path(name)]);
    Ok(Start { entrypoint: Vec::new(), cmd: if runtime.cmd.is_empty() { default } else { runtime.cmd.clone() } })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(name: &str, licenses: Option<&str>) -> Program {
        Program {
            name: name.to_owned(),
            version: "1".to_owned(),
            licenses: licenses.map(str::to_owned),
            ..Program::default()
        }
    }

    #[test]
    fn licences_of_several_programs_hold_together_or_are_not_told() {
        let told = |programs: &[Program]| licenses(programs).unwrap_or_default();
        assert_eq!(
            told(&[program("a", Some("MIT OR ISC")), program("b", Some("BSD-3-Clause"))]),
            "BSD-3-Clause AND (MIT OR ISC)"
        );
        assert_eq!(told(&[program("a", Some("MIT")), program("b", Some("MIT"))]), "MIT");
        assert_eq!(told(&[program("a", Some("MIT")), program("b", None)]), "");
    }

    #[test]
    fn only_one_namesake_is_what_an_image_starts() {
        let script = |name: &str, distribution: &str| InstalledScript {
            name: name.to_owned(),
            distribution: distribution.to_owned(),
            module: None,
            attribute: None,
            is_requested: true,
        };
        let (black, daemon, isort) = (script("black", "black"), script("blackd", "black"), script("isort", "isort"));
        assert_eq!(namesake(&[&black, &daemon], &["black"]), Some("black"));
        assert_eq!(namesake(&[&black, &isort], &["black", "isort"]), None);
        assert_eq!(namesake(&[&daemon], &["black"]), None);
        assert_eq!(namesake(&[&black, &script("black", "black-core")], &["black"]), Some("black"));
        // The distribution with the script's name depends on the one that contains the script.
        let (community, core) = (script("ansible-community", "ansible"), script("ansible", "ansible-core"));
        assert_eq!(namesake(&[&community, &core], &["ansible"]), Some("ansible"));
    }
}
