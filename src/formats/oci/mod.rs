//! The JSON documents of an image: the OCI image specification 1.1 (config.md, manifest.md, image-index.md,
//! descriptor.md, image-layout.md), and `manifest.json` of `docker save`.
//!
//! Fields are written in the order of their declaration, so each struct declares them in alphabetical order. The digest
//! of an image depends on this order. Fields that lath does not know are read into `other`, and are written again at
//! the end.

pub(crate) mod saved_image;

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::each_entry;
use crate::model::image::Document;

pub(crate) const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
pub(crate) const LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
pub(crate) const LAYER_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";

/// The media types of Docker's image manifest V2, schema 2. These documents have the same fields as those of OCI.
pub(crate) const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
pub(crate) const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
pub(crate) const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
pub(crate) const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";
pub(crate) const DOCKER_LAYER_GZIP: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
/// This media type is not in the specification. BuildKit and containers/image use it.
pub(crate) const DOCKER_LAYER_ZSTD: &str = "application/vnd.docker.image.rootfs.diff.tar.zstd";

/// The maximum size of a manifest or index. Registries must accept at least 4 MiB (distribution-spec, "Pushing
/// Manifests").
pub(crate) const MAX_MANIFEST_BYTES: u64 = 4 << 20;
/// The media type of the config of an artifact that needs no config (manifest.md, "Guidance for an Empty Descriptor").
pub(crate) const EMPTY: &str = "application/vnd.oci.empty.v1+json";
/// The contents of the config of an artifact that needs no config.
pub(crate) const EMPTY_CONFIG: &[u8] = b"{}";
/// The media type of the artifact with the explanation of an image.
pub(crate) const EXPLANATION: &str = "application/vnd.lath.explanation.v1";
/// The media type of the only layer of that artifact.
pub(crate) const EXPLANATION_LAYER: &str = "application/vnd.lath.explanation.v1+json+zstd";

/// The annotation with the title of a layer or of an image (annotations.md).
pub(crate) const TITLE: &str = "org.opencontainers.image.title";
/// The annotation with the name of an image in an index (annotations.md).
pub(crate) const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// The annotation with the name that an image gets when containerd imports it. The name includes the registry, because
/// Docker and Kubernetes search for the full name.
pub(crate) const IMAGE_NAME: &str = "io.containerd.image.name";

/// The value of `schemaVersion` in manifests and indexes.
const SCHEMA_VERSION: u32 = 2;

/// A reference to a blob (descriptor.md).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) annotations: BTreeMap<String, String>,
    /// The digest with its algorithm: `sha256:` and 64 digits. Images from other tools may use another algorithm.
    pub(crate) digest: String,
    pub(crate) media_type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) platform: Option<Platform>,
    /// The size in bytes.
    pub(crate) size: u64,
    #[serde(flatten)]
    pub(crate) other: Map<String, Value>,
}

impl Descriptor {
    /// Returns the descriptor of a document that lath has created.
    pub(crate) fn of(document: &Document) -> Self {
        Self {
            digest: document.digest.0.prefixed(),
            media_type: document.media_type.clone().into_owned(),
            size: document.bytes.len() as u64,
            ..Self::default()
        }
    }
}

/// The platform of a manifest in an index (image-index.md, `platform`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Platform {
    pub(crate) architecture: String,
    pub(crate) os: String,
    #[serde(flatten)]
    pub(crate) other: Map<String, Value>,
}

/// An image index (image-index.md). The file `index.json` of a layout (image-layout.md) is also an image index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Index {
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) annotations: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) manifests: Vec<Descriptor>,
    #[serde(default = "index_type")]
    pub(crate) media_type: String,
    #[serde(default = "schema_version")]
    pub(crate) schema_version: u32,
    #[serde(flatten)]
    pub(crate) other: Map<String, Value>,
}

impl Index {
    pub(crate) fn new(manifests: Vec<Descriptor>, annotations: BTreeMap<String, String>) -> Self {
        let (media_type, schema_version) = (index_type(), SCHEMA_VERSION);
        Self { annotations, manifests, media_type, schema_version, other: Map::new() }
    }
}

/// The manifest of one platform (manifest.md).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Manifest {
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) annotations: BTreeMap<String, String>,
    pub(crate) config: Descriptor,
    pub(crate) layers: Vec<Descriptor>,
    pub(crate) media_type: String,
    pub(crate) schema_version: u32,
    #[serde(flatten)]
    pub(crate) other: Map<String, Value>,
}

impl Manifest {
    pub(crate) fn new(config: Descriptor, layers: Vec<Descriptor>, annotations: BTreeMap<String, String>) -> Self {
        let (media_type, schema_version) = (MANIFEST.to_owned(), SCHEMA_VERSION);
        Self { annotations, config, layers, media_type, schema_version, other: Map::new() }
    }
}

/// The configuration of an image (config.md).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Config {
    pub(crate) architecture: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) config: Execution,
    /// A time as in RFC 3339, section 5.6.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) created: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) history: Vec<History>,
    pub(crate) os: String,
    pub(crate) rootfs: RootFs,
    #[serde(flatten)]
    pub(crate) other: Map<String, Value>,
}

/// How a container of the image runs (config.md, `config`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Execution {
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub(crate) cmd: Vec<String>,
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub(crate) entrypoint: Vec<String>,
    /// In the form `NAME=VALUE`.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub(crate) env: Vec<String>,
    /// Such as `8080/tcp`.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) exposed_ports: BTreeMap<String, Empty>,
    /// This field is not in the specification. Docker adds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) healthcheck: Option<Healthcheck>,
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) labels: BTreeMap<String, String>,
    /// Such as `SIGINT` or `15`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) stop_signal: Option<String>,
    /// In the form `uid` or `uid:gid`.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    pub(crate) user: String,
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) volumes: BTreeMap<String, Empty>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) working_dir: Option<String>,
    #[serde(flatten)]
    pub(crate) other: Map<String, Value>,
}

/// The command with which an engine checks whether the program works (Moby, image/spec/v1.2.md, "Image JSON Field
/// Descriptions", `Healthcheck`). Times are in nanoseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Healthcheck {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) interval: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) retries: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) start_period: Option<u64>,
    /// `CMD` followed by the command in exec form, or only `NONE`.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub(crate) test: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) timeout: Option<u64>,
    #[serde(flatten)]
    pub(crate) other: Map<String, Value>,
}

/// The value of each port and each volume, because the specification writes a set as an object whose values are empty
/// objects.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Empty {}

/// The origin of one layer (config.md, `history`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct History {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) created: Option<String>,
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    pub(crate) created_by: String,
    #[serde(flatten)]
    pub(crate) other: Map<String, Value>,
}

/// The digests of the uncompressed layers (config.md, `rootfs`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RootFs {
    pub(crate) diff_ids: Vec<String>,
    #[serde(rename = "type")]
    pub(crate) kind: String,
}

impl Default for RootFs {
    fn default() -> Self {
        Self { diff_ids: Vec::new(), kind: "layers".to_owned() }
    }
}

/// The file `oci-layout` (image-layout.md).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ImageLayout {
    pub(crate) image_layout_version: String,
}

impl Default for ImageLayout {
    fn default() -> Self {
        Self { image_layout_version: "1.0.0".to_owned() }
    }
}

/// One image in `manifest.json` of `docker save` (Moby, image/spec/v1.2.md, "Combined Image JSON + Filesystem
/// Changeset Format").
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct DockerManifest {
    /// The path of the config in the archive.
    pub(crate) config: String,
    /// The paths of the layers in the archive. The lowest layer comes first.
    pub(crate) layers: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) repo_tags: Vec<String>,
}

fn index_type() -> String {
    INDEX.to_owned()
}

fn schema_version() -> u32 {
    SCHEMA_VERSION
}

/// Reads `null` as a missing value, because Go programs write `null` for empty lists and maps.
fn or_default<'de, T: Default + Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde::de::DeserializeOwned;

    use super::*;

    /// Checks that the JSON in `text` does not change if it is read as a `T` and written again.
    fn assert_kept<T: Serialize + DeserializeOwned>(text: &str) {
        let read: T = serde_json::from_str(text).unwrap();
        let (before, after): (Value, Value) = (text.parse().unwrap(), serde_json::to_value(&read).unwrap());
        assert_eq!(before, after);
    }

    #[test]
    fn documents_of_others_keep_every_field() {
        assert_kept::<Config>(
            r#"{
                "created": "2015-10-31T22:22:56.015925234Z", "author": "Alyspdev <alyspdev@example.com>",
                "architecture": "arm64", "variant": "v8", "os": "linux", "os.features": ["x"],
                "config": {
                    "User": "alice", "ExposedPorts": {"8080/tcp": {}}, "Env": ["FOO=docker_is_a_really"],
                    "Entrypoint": ["/bin/my-app-binary"], "Cmd": ["--foreground"], "Volumes": {"/var/logs": {}},
                    "WorkingDir": "/home/alice", "Labels": {"a": "b"}, "StopSignal": "SIGTERM",
                    "Healthcheck": {"Test": ["NONE"]}, "OnBuild": null
                },
                "rootfs": {"diff_ids": ["sha256:c6f9", "sha512:5f70"], "type": "layers"},
                "history": [
                    {"created": "2015-10-31T22:22:54Z", "created_by": "/bin/sh -c #(nop) ADD"},
                    {"created_by": "/bin/sh -c #(nop) CMD", "empty_layer": true, "comment": "c", "author": "a"}
                ]
            }"#,
        );
        assert_kept::<Manifest>(
            r#"{
                "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "artifactType": "application/x", "subject": {"digest": "sha256:5b0b", "mediaType": "m", "size": 7682},
                "config": {"mediaType": "c", "digest": "sha256:b5b2", "size": 7023, "data": "e30="},
                "layers": [{"mediaType": "l", "digest": "sha256:9834", "size": 32654, "urls": ["https://x"]}],
                "annotations": {"com.example.key1": "value1"}
            }"#,
        );
        assert_kept::<Index>(
            r#"{
                "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "x-own": {"a": [null]},
                "manifests": [{
                    "mediaType": "m", "size": 7143, "digest": "sha512:e692", "artifactType": "a", "x-own": 1,
                    "platform": {"architecture": "ppc64le", "os": "windows", "os.version": "10", "variant": "v"},
                    "annotations": {"a": "b"}
                }],
                "annotations": {"com.example.key1": "value1"}
            }"#,
        );
        assert_kept::<ImageLayout>(r#"{"imageLayoutVersion": "1.0.0"}"#);
        assert_kept::<Vec<DockerManifest>>(r#"[{"Config": "c.json", "RepoTags": ["a:1"], "Layers": ["l/layer.tar"]}]"#);
    }

    #[test]
    fn null_is_read_like_a_missing_field() {
        let execution: Execution = serde_json::from_str(
            r#"{"Cmd": null, "Entrypoint": null, "Env": null, "ExposedPorts": null, "Labels": null, "User": null}"#,
        )
        .unwrap();
        assert_eq!(execution, Execution::default());
        let saved: DockerManifest = serde_json::from_str(r#"{"Config": "c", "RepoTags": null, "Layers": []}"#).unwrap();
        assert!(saved.repo_tags.is_empty());
        let index: Index = serde_json::from_str(r#"{"manifests": null}"#).unwrap();
        assert_eq!(index, Index::new(Vec::new(), BTreeMap::new()));
    }
}
