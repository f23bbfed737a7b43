//! Shares -> image: config, manifest and index, as defined by the OCI image specification 1.1.

mod on_base;

use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;

use crate::formats::oci::{self, Config, Descriptor, Empty, Execution, History, Index, Manifest, RootFs};
use crate::model::assembly::Program;
use crate::model::hint::Hints;
use crate::model::image::{Document, Image, Layer, LayerContents, PlatformImage};
use crate::model::launch::Launch;
use crate::model::made::Share;
use crate::model::non_empty::NonEmpty;
use crate::model::request::{RuntimeRequest, SealRequest};

/// The operating system of every image.
const OS: &str = "linux";

#[derive(Debug, Error)]
pub(crate) enum SealError {
    #[error("cannot write `{epoch_secs}` seconds since 1970 as a date")]
    Epoch { epoch_secs: u64, source: jiff::Error },
    #[error("cannot write a document of the image")]
    Document(#[from] serde_json::Error),
}

impl Hints for SealError {}

/// Combines all platforms into one image.
pub(crate) fn seal(shares: &NonEmpty<Share>, request: &SealRequest<'_>) -> Result<Image, SealError> {
    let platforms = shares.as_ref().try_map(|share| seal_platform(share, request))?;
    let index = match platforms.len() {
        1 => None,
        _ => {
            let base = request.base_image.map(|base| on_base::annotations(base, base.root)).unwrap_or_default();
            Some(index(&platforms, annotations(&shares.first().made.assembly.programs, base, request))?)
        }
    };
    let base = request.base_image.map(|base| base.source.clone());
    let (name, aliases) = (request.name.to_owned(), request.aliases.to_vec());
    Ok(Image { name, aliases, epoch_secs: request.epoch_secs, platforms, index, base })
}

fn seal_platform(share: &Share, request: &SealRequest<'_>) -> Result<PlatformImage, SealError> {
    let base = request.base_of(share.made.lock.platform);
    let of_base = base.map(|base| on_base::annotations(base.request, Some(base.image.digest))).unwrap_or_default();
    let annotations = annotations(&share.made.assembly.programs, of_base, request);
    let config = Document::new(oci::CONFIG, serde_json::to_vec(&config(share, request, &annotations)?)?);
    let layers = share.layers.iter().map(descriptor).collect();
    let manifest = Manifest::new(Descriptor::of(&config), layers, annotations);
    let manifest = Document::new(oci::MANIFEST, serde_json::to_vec(&manifest)?);
    Ok(PlatformImage { platform: share.made.lock.platform, layers: share.layers.clone(), config, manifest })
}

fn descriptor(layer: &Layer) -> Descriptor {
    // The layers of a base image have no title.
    let title = (layer.contents != LayerContents::Blob).then(|| (oci::TITLE.to_owned(), layer.title.clone()));
    Descriptor {
        annotations: layer.annotations.clone().into_iter().chain(title).collect(),
        digest: layer.digest.0.prefixed(),
        media_type: on_base::media_type(layer).to_owned(),
        size: layer.size_bytes,
        ..Descriptor::default()
    }
}

fn index(platforms: &NonEmpty<PlatformImage>, annotations: BTreeMap<String, String>) -> Result<Document, SealError> {
    let of_platform = |image: &PlatformImage| -> Result<Descriptor, SealError> {
        let architecture = image.platform.architecture.name().to_owned();
        // The descriptor must have the same variant as the config. The config gets its variant from the base image.
        let config: Config = serde_json::from_slice(&image.config.bytes)?;
        let other = config.other.into_iter().filter(|(field, _)| field == "variant").collect();
        let platform = oci::Platform { architecture, os: OS.to_owned(), other };
        Ok(Descriptor { platform: Some(platform), ..Descriptor::of(&image.manifest) })
    };
    let descriptors: Result<Vec<Descriptor>, SealError> = platforms.iter().map(of_platform).collect();
    let index = Index::new(descriptors?, annotations);
    Ok(Document::new(oci::INDEX, serde_json::to_vec(&index)?))
}

/// Returns the pre-defined annotation keys (image-spec, annotations.md) with the metadata of the requested
/// distributions. The user's own annotations have priority. If several distributions were requested, keys that can
/// describe only one distribution are left out. `of_base` are the annotations about the base image.
fn annotations(
    programs: &[Program],
    of_base: BTreeMap<String, String>,
    request: &SealRequest<'_>,
) -> BTreeMap<String, String> {
    let joined = |one: &dyn Fn(&Program) -> String| programs.iter().map(one).collect::<Vec<_>>().join(", ");
    let release = request.base_image.is_none().then(|| request.release.name());
    let mut known = vec![("base.name", release)];
    match programs {
        _ if request.has_application => known.push(("title", Some(last_part(request.name).to_owned()))),
        [] => {}
        [one] => known.extend([
            ("title", Some(one.name.clone())),
            ("version", Some(one.version.clone())),
            ("description", one.summary.clone()),
            ("licenses", one.licenses.clone()),
            ("url", one.homepage.clone()),
            ("source", one.source.clone()),
            ("documentation", one.documentation.clone()),
        ]),
        several => known.extend([
            ("title", Some(joined(&|program| program.name.clone()))),
            ("description", Some(joined(&|program| format!("{} {}", program.name, program.version)))),
            ("licenses", licenses(several)),
        ]),
    }
    let known = known.into_iter().filter_map(|(key, value)| Some((format!("org.opencontainers.image.{key}"), value?)));
    let mut annotations: BTreeMap<String, String> = known.collect();
    annotations.extend(of_base);
    annotations.extend(request.runtime.annotations.clone());
    annotations
}

/// Returns the name of an image without its registry, folders and tag.
fn last_part(name: &str) -> &str {
    name.rsplit('/').next().and_then(|last| last.split(':').next()).unwrap_or(name)
}

/// Returns all licences as one SPDX expression. `None` if one of them is not known.
fn licenses(programs: &[Program]) -> Option<String> {
    let all: Option<BTreeSet<&str>> = programs.iter().map(|program| program.licenses.as_deref()).collect();
    let in_brackets = |one: &str| if one.contains(" OR ") { format!("({one})") } else { one.to_owned() };
    Some(all?.into_iter().map(in_brackets).collect::<Vec<_>>().join(" AND "))
}

fn config(
    share: &Share,
    request: &SealRequest<'_>,
    annotations: &BTreeMap<String, String>,
) -> Result<Config, SealError> {
    let epoch_secs = request.epoch_secs;
    let created = i64::try_from(epoch_secs).unwrap_or(i64::MAX);
    let created =
        jiff::Timestamp::from_second(created).map_err(|source| SealError::Epoch { epoch_secs, source })?.to_string();
    let history = |layer: &Layer| History {
        created: Some(created.clone()),
        created_by: format!("lath: {}", layer.title),
        ..History::default()
    };
    let config = Config {
        architecture: share.made.lock.platform.architecture.name().to_owned(),
        config: execution(&share.made.launch, request.runtime, annotations),
        created: Some(created.clone()),
        history: share.layers.iter().map(history).collect(),
        os: OS.to_owned(),
        rootfs: RootFs {
            diff_ids: share.layers.iter().map(|layer| layer.diff_id.0.prefixed()).collect(),
            ..RootFs::default()
        },
        ..Config::default()
    };
    match request.base_of(share.made.lock.platform) {
        None => Ok(config),
        Some(base) => Ok(on_base::config(config, base, &share.layers)?),
    }
}

fn healthcheck(launch: &Launch, runtime: &RuntimeRequest) -> Option<oci::Healthcheck> {
    let check = runtime.healthcheck.as_ref()?;
    let nanoseconds = |secs: Option<u64>| secs.map(|secs| secs.saturating_mul(1_000_000_000));
    Some(oci::Healthcheck {
        interval: nanoseconds(check.interval_secs),
        retries: check.retries,
        start_period: nanoseconds(check.start_period_secs),
        test: [&["CMD".to_owned()], launch.healthcheck.as_slice()].concat(),
        timeout: nanoseconds(check.timeout_secs),
        ..oci::Healthcheck::default()
    })
}

fn execution(launch: &Launch, runtime: &RuntimeRequest, annotations: &BTreeMap<String, String>) -> Execution {
    let mut labels = annotations.clone();
    labels.extend(runtime.labels.clone());
    Execution {
        cmd: launch.cmd.clone(),
        entrypoint: launch.entrypoint.clone(),
        env: launch.env.clone(),
        exposed_ports: runtime.expose.iter().map(|port| (port.clone(), Empty {})).collect(),
        healthcheck: healthcheck(launch, runtime),
        labels,
        stop_signal: runtime.stop_signal.clone(),
        user: launch.user.clone(),
        volumes: runtime.volumes.iter().map(|path| (path.to_string(), Empty {})).collect(),
        working_dir: launch.workdir.as_ref().map(ToString::to_string),
        ..Execution::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::assembly::Assembly;
    use crate::model::digest::Digest;
    use crate::model::image::{BlobDigest, DiffId, LayerContents};
    use crate::model::image_path::ImagePath;
    use crate::model::lock::PlatformLock;
    use crate::model::made::Made;
    use crate::model::platform::{Architecture, Platform};
    use crate::model::receipt::ProofSummary;
    use crate::model::request::Request;
    use crate::model::tree::Tree;

    fn program(name: &str, licenses: Option<&str>) -> Program {
        Program {
            name: name.to_owned(),
            version: "1".to_owned(),
            licenses: licenses.map(str::to_owned),
            ..Program::default()
        }
    }

    fn layer(title: &str, number: u8) -> Layer {
        Layer {
            title: title.to_owned(),
            digest: BlobDigest(Digest::of(&[number])),
            diff_id: DiffId(Digest::of(&[number, number])),
            media_type: "application/vnd.oci.image.layer.v1.tar+gzip".to_owned(),
            size_bytes: 100 + u64::from(number),
            tar_bytes: 2048,
            files_bytes: 1000,
            contents: LayerContents::Segments(Vec::new()),
            annotations: BTreeMap::new(),
        }
    }

    fn assembly() -> Assembly {
        let program = Program { summary: Some("\"Quoted\" & <ünï>".to_owned()), ..program("tool", Some("MIT")) };
        Assembly { programs: vec![program], ..Assembly::default() }
    }

    fn sealed(request: &Request, launch: &Launch, architectures: &[Architecture]) -> Image {
        let made = |architecture: &Architecture| Made {
            lock: PlatformLock {
                platform: Platform { architecture: *architecture },
                ..PlatformLock::example(Vec::new())
            },
            assembly: assembly(),
            launch: launch.clone(),
            tree: Tree::default(),
            reached: None,
        };
        let share = |architecture: &Architecture| Share {
            made: made(architecture),
            layers: vec![layer("base", 1), layer("program", 2)],
            proof: ProofSummary::default(),
            next_level: None,
        };
        seal(&NonEmpty::new(architectures.iter().map(share).collect()).unwrap(), &request.to_seal()).unwrap()
    }

    /// The environment variables that every image has.
    const ENV: [&str; 5] = [
        "HOME=/home/app",
        "LANG=C.UTF-8",
        "PATH=/opt/app/bin:/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin",
        "PYTHONUSERBASE=/opt/app",
        "USER=app",
    ];

    fn launch(env: &[&str]) -> Launch {
        Launch {
            entrypoint: vec!["/opt/app/bin/tool".to_owned()],
            env: env.iter().map(|pair| (*pair).to_owned()).collect(),
            user: "65532:65532".to_owned(),
            ..Launch::default()
        }
    }

    fn text(document: &Document) -> &str {
        std::str::from_utf8(&document.bytes).unwrap()
    }

    /// The image of a request that has every option, for two platforms.
    fn with_every_option() -> Image {
        let mut request = Request::example();
        request.pack.epoch_secs = 1_700_000_000;
        let launch = Launch {
            cmd: vec!["--help".to_owned()],
            workdir: Some(ImagePath::parse("/data").unwrap()),
            ..launch(&[&["A=1"][..], &ENV].concat())
        };
        request.runtime.expose = vec!["8080/tcp".to_owned(), "53/udp".to_owned()];
        request.runtime.labels.insert("zone".to_owned(), "x".to_owned());
        request.runtime.annotations.insert("Mine".to_owned(), "y".to_owned());
        sealed(&request, &launch, &[Architecture::Amd64, Architecture::Arm64])
    }

    #[test]
    fn the_documents_of_a_request_with_every_option_have_these_bytes() {
        let image = with_every_option();
        assert_eq!(
            text(&image.platforms.first().config),
            concat!(
                r#"{"architecture":"amd64","config":{"Cmd":["--help"],"Entrypoint":["/opt/app/bin/tool"],"Env":["A=1","#,
                r#""HOME=/home/app","LANG=C.UTF-8","#,
                r#""PATH=/opt/app/bin:/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin","#,
                r#""PYTHONUSERBASE=/opt/app","USER=app"],"ExposedPorts":{"53/udp":{},"8080/tcp":{}},"#,
                r#""Labels":{"Mine":"y","org.opencontainers.image.base.name":"debian:trixie","#,
                r#""org.opencontainers.image.description":"\"Quoted\" & <ünï>","#,
                r#""org.opencontainers.image.licenses":"MIT","org.opencontainers.image.title":"tool","#,
                r#""org.opencontainers.image.version":"1","zone":"x"},"User":"65532:65532","WorkingDir":"/data"},"#,
                r#""created":"2023-11-14T22:13:20Z","history":[{"created":"2023-11-14T22:13:20Z","#,
                r#""created_by":"lath: base"},{"created":"2023-11-14T22:13:20Z","created_by":"lath: program"}],"#,
                r#""os":"linux","#,
                r#""rootfs":{"diff_ids":["sha256:9dcf97a184f32623d11a73124ceb99a5709b083721e878a16d78f596718ba7b2","#,
                r#""sha256:50cff72c8e550546d661ec235431888fb2f9f7bada40c17020d47f6ccc117aae"],"type":"layers"}}"#,
            )
        );
        assert_eq!(
            text(&image.platforms.first().manifest),
            concat!(
                r#"{"annotations":{"Mine":"y","org.opencontainers.image.base.name":"debian:trixie","#,
                r#""org.opencontainers.image.description":"\"Quoted\" & <ünï>","#,
                r#""org.opencontainers.image.licenses":"MIT","org.opencontainers.image.title":"tool","#,
                r#""org.opencontainers.image.version":"1"},"#,
                r#""config":{"digest":"sha256:dd5d5dba1ce73e7730df4f7e7e326bac8186fce59121c18c7bdd77fb761ffe10","#,
                r#""mediaType":"application/vnd.oci.image.config.v1+json","size":976},"#,
                r#""layers":[{"annotations":{"org.opencontainers.image.title":"base"},"#,
                r#""digest":"sha256:4bf5122f344554c53bde2ebb8cd2b7e3d1600ad631c385a5d7cce23c7785459a","#,
                r#""mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","size":101},"#,
                r#"{"annotations":{"org.opencontainers.image.title":"program"},"#,
                r#""digest":"sha256:dbc1b4c900ffe48d575b5da5c638040125f65db0fe3e24494b76ea986457d986","#,
                r#""mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","size":102}],"#,
                r#""mediaType":"application/vnd.oci.image.manifest.v1+json","schemaVersion":2}"#,
            )
        );
        assert_eq!(
            text(image.index.as_ref().unwrap()),
            concat!(
                r#"{"annotations":{"Mine":"y","org.opencontainers.image.base.name":"debian:trixie","#,
                r#""org.opencontainers.image.description":"\"Quoted\" & <ünï>","#,
                r#""org.opencontainers.image.licenses":"MIT","org.opencontainers.image.title":"tool","#,
                r#""org.opencontainers.image.version":"1"},"#,
                r#""manifests":[{"digest":"sha256:5e2d0e866cc0b2702c6286b9a2edce1fde0d20be0c51a089b58be64b91499746","#,
                r#""mediaType":"application/vnd.oci.image.manifest.v1+json","platform":{"architecture":"amd64","#,
                r#""os":"linux"},"size":933},"#,
                r#"{"digest":"sha256:798db0baa324ce138cf0ba0245043cdfa7e6613a4f418819f67561df1c128f76","#,
                r#""mediaType":"application/vnd.oci.image.manifest.v1+json","platform":{"architecture":"arm64","#,
                r#""os":"linux"},"size":933}],"mediaType":"application/vnd.oci.image.index.v1+json","schemaVersion":2}"#,
            )
        );
    }

    #[test]
    fn the_documents_of_a_bare_request_have_these_bytes() {
        let image = sealed(&Request::example(), &launch(&ENV), &[Architecture::Amd64]);
        assert_eq!(
            text(&image.platforms.first().config),
            concat!(
                r#"{"architecture":"amd64","config":{"Entrypoint":["/opt/app/bin/tool"],"Env":["HOME=/home/app","#,
                r#""LANG=C.UTF-8","PATH=/opt/app/bin:/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin","#,
                r#""PYTHONUSERBASE=/opt/app","USER=app"],"#,
                r#""Labels":{"org.opencontainers.image.base.name":"debian:trixie","#,
                r#""org.opencontainers.image.description":"\"Quoted\" & <ünï>","#,
                r#""org.opencontainers.image.licenses":"MIT","org.opencontainers.image.title":"tool","#,
                r#""org.opencontainers.image.version":"1"},"User":"65532:65532"},"created":"1970-01-01T00:00:00Z","#,
                r#""history":[{"created":"1970-01-01T00:00:00Z","created_by":"lath: base"},"#,
                r#"{"created":"1970-01-01T00:00:00Z","created_by":"lath: program"}],"os":"linux","#,
                r#""rootfs":{"diff_ids":["sha256:9dcf97a184f32623d11a73124ceb99a5709b083721e878a16d78f596718ba7b2","#,
                r#""sha256:50cff72c8e550546d661ec235431888fb2f9f7bada40c17020d47f6ccc117aae"],"type":"layers"}}"#,
            )
        );
        assert_eq!(
            text(&image.platforms.first().manifest),
            concat!(
                r#"{"annotations":{"org.opencontainers.image.base.name":"debian:trixie","#,
                r#""org.opencontainers.image.description":"\"Quoted\" & <ünï>","#,
                r#""org.opencontainers.image.licenses":"MIT","org.opencontainers.image.title":"tool","#,
                r#""org.opencontainers.image.version":"1"},"#,
                r#""config":{"digest":"sha256:069c2e7751d168311f6733da84d59d0f2cb7885cd1bb1ece4cf3a73c8b5a504f","#,
                r#""mediaType":"application/vnd.oci.image.config.v1+json","size":867},"#,
                r#""layers":[{"annotations":{"org.opencontainers.image.title":"base"},"#,
                r#""digest":"sha256:4bf5122f344554c53bde2ebb8cd2b7e3d1600ad631c385a5d7cce23c7785459a","#,
                r#""mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","size":101},"#,
                r#"{"annotations":{"org.opencontainers.image.title":"program"},"#,
                r#""digest":"sha256:dbc1b4c900ffe48d575b5da5c638040125f65db0fe3e24494b76ea986457d986","#,
                r#""mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","size":102}],"#,
                r#""mediaType":"application/vnd.oci.image.manifest.v1+json","schemaVersion":2}"#,
            )
        );
        assert_eq!(image.index, None);
    }

    #[test]
    fn licences_of_several_programs_hold_together_or_are_not_told() {
        let joined = |programs: &[Program]| licenses(programs).unwrap_or_default();
        assert_eq!(
            joined(&[program("a", Some("MIT OR ISC")), program("b", Some("BSD-3-Clause"))]),
            "BSD-3-Clause AND (MIT OR ISC)"
        );
        assert_eq!(joined(&[program("a", Some("MIT")), program("b", Some("MIT"))]), "MIT");
        assert_eq!(joined(&[program("a", Some("MIT")), program("b", None)]), "");
    }
}
