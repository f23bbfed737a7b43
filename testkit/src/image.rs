//! Builds images with any layers: base images for tests, and images that are wrong on purpose.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::deb::{Compression, compress};
use crate::digest::sha256_hex;
use crate::registry::RegistryServer;

const OCI: &str = "application/vnd.oci.image";
const DOCKER: &str = "application/vnd.docker";

/// Builds the tar file of a layer, entry by entry.
#[derive(Debug, Clone, Default)]
pub struct LayerBuilder {
    tar: Vec<u8>,
    owner: (u64, u64),
    records: Vec<u8>,
}

/// The fields of an entry that depend on its kind.
struct Entry<'a> {
    flag: u8,
    mode: u32,
    target: &'a str,
    bytes: &'a [u8],
}

impl LayerBuilder {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn dir(self, path: &str, mode: u32) -> Self {
        self.entry(&format!("{path}/"), &Entry { flag: b'5', mode, target: "", bytes: b"" })
    }

    pub fn file(self, path: &str, mode: u32, bytes: impl AsRef<[u8]>) -> Self {
        self.entry(path, &Entry { flag: b'0', mode, target: "", bytes: bytes.as_ref() })
    }

    pub fn link(self, path: &str, target: &str) -> Self {
        self.entry(path, &Entry { flag: b'2', mode: 0o777, target, bytes: b"" })
    }

    pub fn hard_link(self, path: &str, target: &str) -> Self {
        self.entry(path, &Entry { flag: b'1', mode: 0o644, target, bytes: b"" })
    }

    /// Removes a path of lower layers.
    pub fn whiteout(self, path: &str) -> Self {
        let (folder, name) = path.rsplit_once('/').map_or((String::new(), path), |(f, name)| (format!("{f}/"), name));
        self.file(&format!("{folder}.wh.{name}"), 0o644, "")
    }

    /// Removes everything in a directory that comes from lower layers. An empty path means the root.
    pub fn opaque(self, folder: &str) -> Self {
        let path = if folder.is_empty() { ".wh..wh..opq".to_owned() } else { format!("{folder}/.wh..wh..opq") };
        self.file(&path, 0o644, "")
    }

    pub fn device(self, path: &str) -> Self {
        self.entry(path, &Entry { flag: b'3', mode: 0o666, target: "", bytes: b"" })
    }

    pub fn pipe(self, path: &str) -> Self {
        self.entry(path, &Entry { flag: b'6', mode: 0o644, target: "", bytes: b"" })
    }

    /// Adds an entry of any type. For example, the type `S` is a sparse file of GNU tar.
    pub fn typed(self, path: &str, flag: u8) -> Self {
        self.entry(path, &Entry { flag, mode: 0o644, target: "", bytes: b"" })
    }

    /// Sets the owner and group of the next entry.
    pub fn owned_by(mut self, uid: u64, gid: u64) -> Self {
        self.owner = (uid, gid);
        self
    }

    /// Sets a pax record of the next entry, such as `SCHILY.xattr.security.capability`.
    pub fn record(mut self, key: &str, value: &str) -> Self {
        let rest = key.len() + value.len() + 3;
        let digits = (1..6).find(|digits| (rest + digits).to_string().len() == *digits).expect("a record is short");
        self.records.extend(format!("{} {key}={value}\n", rest + digits).into_bytes());
        self
    }

    /// Adds any bytes to the tar file.
    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.tar.extend_from_slice(bytes);
        self
    }

    /// Adds all entries of another tar file, without its end.
    pub fn entries_of(mut self, tar: &[u8]) -> Self {
        let end = tar.len() - tar.iter().rev().take_while(|byte| **byte == 0).count();
        self.tar.extend_from_slice(&tar[..end.next_multiple_of(512).min(tar.len())]);
        self
    }

    /// Returns the tar file including its end.
    pub fn tar(&self) -> Vec<u8> {
        let mut tar = self.tar.clone();
        tar.resize(tar.len() + 1024, 0);
        tar
    }

    fn entry(mut self, path: &str, entry: &Entry<'_>) -> Self {
        let records = std::mem::take(&mut self.records);
        if !records.is_empty() {
            self.append("pax", b'x', &Entry { flag: b'x', mode: 0o644, target: "", bytes: &records });
        }
        for (flag, name) in [(b'K', entry.target), (b'L', path)] {
            if name.len() > 100 {
                let bytes = [name.as_bytes(), b"\0"].concat();
                self.append("././@LongLink", flag, &Entry { flag, mode: 0, target: "", bytes: &bytes });
            }
        }
        self.append(path, entry.flag, entry);
        self.owner = (0, 0);
        self
    }

    fn append(&mut self, path: &str, flag: u8, entry: &Entry<'_>) {
        let mut header = tar::Header::new_gnu();
        let start = |text: &str| text.as_bytes()[..text.len().min(100)].to_vec();
        let (name, target) = (start(path), start(entry.target));
        header.as_old_mut().name[..name.len()].copy_from_slice(&name);
        header.as_old_mut().linkname[..target.len()].copy_from_slice(&target);
        header.set_entry_type(tar::EntryType::new(flag));
        header.set_mode(entry.mode);
        header.set_uid(self.owner.0);
        header.set_gid(self.owner.1);
        header.set_mtime(1_700_000_000);
        header.set_size(entry.bytes.len() as u64);
        if flag == b'S' {
            header.as_gnu_mut().expect("it is a header of GNU tar").set_real_size(0);
        }
        header.set_cksum();
        self.tar.extend_from_slice(header.as_bytes());
        self.tar.extend_from_slice(entry.bytes);
        self.tar.resize(self.tar.len().next_multiple_of(512), 0);
    }
}

/// Builds the image of one platform.
#[derive(Debug, Clone)]
pub struct ImageBuilder {
    architecture: String,
    variant: Option<String>,
    config: Value,
    /// The fields of the config document other than `config`.
    document: Value,
    /// The tar file of each layer, and its compression.
    layers: Vec<(Vec<u8>, Compression)>,
    is_dockers: bool,
}

/// The blobs of an image, and the descriptor of its manifest.
#[derive(Debug, Clone)]
pub struct BuiltImage {
    pub descriptor: Value,
    pub manifest: Value,
    pub config: Value,
    /// The blobs by digest. Each digest begins with `sha256:`.
    pub blobs: BTreeMap<String, Vec<u8>>,
}

impl Default for ImageBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl ImageBuilder {
    /// Creates an image for `linux/amd64` without layers.
    pub fn new() -> Self {
        let (architecture, config) = ("amd64".to_owned(), json!({}));
        Self { architecture, variant: None, config, document: json!({}), layers: Vec::new(), is_dockers: false }
    }

    pub fn architecture(mut self, name: &str, variant: Option<&str>) -> Self {
        self.architecture = name.to_owned();
        self.variant = variant.map(str::to_owned);
        self
    }

    /// Adds a layer that is compressed with gzip.
    pub fn layer(self, layer: &LayerBuilder) -> Self {
        self.compressed_layer(&layer.tar(), Compression::Gzip)
    }

    pub fn compressed_layer(mut self, tar: &[u8], compression: Compression) -> Self {
        self.layers.push((tar.to_vec(), compression));
        self
    }

    /// Sets a field in `config` of the config document, such as `Env`, `User` or `Cmd`.
    pub fn with(mut self, field: &str, value: Value) -> Self {
        self.config[field] = value;
        self
    }

    /// Sets a field next to `config` in the config document, such as `author` or `history`.
    pub fn with_beside(mut self, field: &str, value: Value) -> Self {
        self.document[field] = value;
        self
    }

    /// Uses the media types of Docker's schema 2.
    pub fn dockers(mut self) -> Self {
        self.is_dockers = true;
        self
    }

    /// Writes the image. The same builder always writes the same bytes.
    pub fn build(&self) -> BuiltImage {
        let mut blobs = BTreeMap::new();
        let mut layers = Vec::new();
        let mut diff_ids = Vec::new();
        for (tar, compression) in &self.layers {
            diff_ids.push(format!("sha256:{}", sha256_hex(tar)));
            layers.push(describe(&mut blobs, &self.layer_type(*compression), compress(tar, *compression)));
        }
        let mut config = json!({
            "architecture": self.architecture, "os": "linux", "config": self.config,
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        });
        if let Some(variant) = &self.variant {
            config["variant"] = json!(variant);
        }
        for (field, value) in self.document.as_object().expect("it has fields") {
            config[field] = value.clone();
        }
        let config_type =
            if self.is_dockers { format!("{DOCKER}.container.image.v1+json") } else { format!("{OCI}.config.v1+json") };
        let config_descriptor = describe(&mut blobs, &config_type, config.to_string().into_bytes());
        let media_type = if self.is_dockers {
            format!("{DOCKER}.distribution.manifest.v2+json")
        } else {
            format!("{OCI}.manifest.v1+json")
        };
        let manifest = json!({
            "schemaVersion": 2, "mediaType": media_type, "config": config_descriptor, "layers": layers,
        });
        let mut descriptor = describe(&mut blobs, &media_type, manifest.to_string().into_bytes());
        descriptor["platform"] = json!({"os": "linux", "architecture": self.architecture});
        if let Some(variant) = &self.variant {
            descriptor["platform"]["variant"] = json!(variant);
        }
        BuiltImage { descriptor, manifest, config, blobs }
    }

    fn layer_type(&self, compression: Compression) -> String {
        let ending = match compression {
            Compression::None => "",
            Compression::Gzip => "gzip",
            Compression::Zstd => "zstd",
            Compression::Xz => "xz",
        };
        match (self.is_dockers, ending) {
            (true, "") => format!("{DOCKER}.image.rootfs.diff.tar"),
            (true, ending) => format!("{DOCKER}.image.rootfs.diff.tar.{ending}"),
            (false, "") => format!("{OCI}.layer.v1.tar"),
            (false, ending) => format!("{OCI}.layer.v1.tar+{ending}"),
        }
    }
}

/// Adds a blob and returns its descriptor.
pub fn describe(blobs: &mut BTreeMap<String, Vec<u8>>, media_type: &str, bytes: Vec<u8>) -> Value {
    let digest = format!("sha256:{}", sha256_hex(&bytes));
    let descriptor = json!({"mediaType": media_type, "digest": digest, "size": bytes.len()});
    blobs.insert(digest, bytes);
    descriptor
}

impl BuiltImage {
    /// Returns an image whose root is an index of several platforms.
    pub fn index(images: &[Self]) -> Self {
        let mut blobs: BTreeMap<_, _> = images.iter().flat_map(|image| image.blobs.clone()).collect();
        let manifests: Vec<&Value> = images.iter().map(|image| &image.descriptor).collect();
        let media_type = format!("{OCI}.index.v1+json");
        let index = json!({"schemaVersion": 2, "mediaType": media_type, "manifests": manifests});
        let descriptor = describe(&mut blobs, &media_type, index.to_string().into_bytes());
        Self { descriptor, manifest: index, config: Value::Null, blobs }
    }

    /// Replaces the bytes of a blob, so that they no longer match its digest.
    pub fn tampered(mut self, digest: &Value, bytes: &[u8]) -> Self {
        self.blobs.insert(digest.as_str().expect("a digest is a text").to_owned(), bytes.to_vec());
        self
    }

    /// Returns the files of an OCI layout with this image.
    pub fn layout(&self, tag: &str) -> BTreeMap<String, Vec<u8>> {
        let mut descriptor = self.descriptor.clone();
        descriptor["annotations"] = json!({"org.opencontainers.image.ref.name": tag});
        let index = json!({"schemaVersion": 2, "manifests": [descriptor]});
        let blobs =
            self.blobs.iter().map(|(digest, bytes)| (format!("blobs/{}", digest.replace(':', "/")), bytes.clone()));
        let documents = [
            ("oci-layout".to_owned(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec()),
            ("index.json".to_owned(), index.to_string().into_bytes()),
        ];
        blobs.chain(documents).collect()
    }

    /// Writes an OCI layout.
    pub fn write_layout(&self, folder: &Path, tag: &str) {
        for (name, bytes) in self.layout(tag) {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().expect("it is in a folder")).expect("the folder can be made");
            fs::write(path, bytes).expect("the file can be written");
        }
    }

    /// Puts the image into a repository of a registry.
    pub fn serve(&self, server: &RegistryServer, repository: &str, tag: &str) {
        for (digest, bytes) in &self.blobs {
            let document: Value = serde_json::from_slice(bytes).unwrap_or_default();
            match document["mediaType"].as_str() {
                Some(media_type) => {
                    let tag = if self.descriptor["digest"] == **digest { tag } else { "" };
                    server.put_manifest(repository, tag, media_type, bytes);
                }
                None => server.put_blob_as(repository, digest, bytes),
            }
        }
    }

    /// Returns an OCI layout as a tar file.
    pub fn oci_archive(&self, tag: &str) -> Vec<u8> {
        let mut archive = LayerBuilder::new();
        for (name, bytes) in self.layout(tag) {
            archive = archive.file(&name, 0o644, bytes);
        }
        archive.tar()
    }

    /// Returns the output of `docker save` since version 25. It is also an OCI layout. Its `index.json` refers to
    /// `root`, which is this image or an index that contains it.
    pub fn current_docker_archive(&self, tags: &[&str], root: &Self) -> Vec<u8> {
        let place = |descriptor: &Value| {
            let digest = descriptor["digest"].as_str().expect("a digest is a text");
            format!("blobs/{}", digest.replace(':', "/"))
        };
        let layers: Vec<String> =
            self.manifest["layers"].as_array().expect("there are layers").iter().map(place).collect();
        let manifest = json!([{"Config": place(&self.manifest["config"]), "RepoTags": tags, "Layers": layers}]);
        let files =
            root.layout("1").into_iter().chain([("manifest.json".to_owned(), manifest.to_string().into_bytes())]);
        files.fold(LayerBuilder::new(), |archive, (name, bytes)| archive.file(&name, 0o644, bytes)).tar()
    }

    /// Returns the output of `docker save` before version 25. Each layer is at `ID/layer.tar`. If a layer occurs twice,
    /// the second one is a link. Layers are written as they are in the image, so they should be uncompressed.
    pub fn docker_archive(&self, tags: &[&str]) -> Vec<u8> {
        let digest_of = |descriptor: &Value| descriptor["digest"].as_str().expect("a digest is a text").to_owned();
        let mut archive = LayerBuilder::new();
        let mut first: BTreeMap<String, usize> = BTreeMap::new();
        let mut names = Vec::new();
        for (number, layer) in self.manifest["layers"].as_array().expect("there are layers").iter().enumerate() {
            let (digest, name) = (digest_of(layer), format!("{number:064}/layer.tar"));
            archive = match first.get(&digest) {
                Some(other) => archive.link(&name, &format!("../{other:064}/layer.tar")),
                None => archive.file(&name, 0o644, &self.blobs[&digest]),
            };
            first.entry(digest).or_insert(number);
            names.push(name);
        }
        let config = digest_of(&self.manifest["config"]);
        let config_name = format!("{}.json", config.trim_start_matches("sha256:"));
        let manifest = json!([{"Config": config_name, "RepoTags": tags, "Layers": names}]);
        archive = archive.file(&config_name, 0o644, &self.blobs[&config]);
        archive.file("manifest.json", 0o644, manifest.to_string()).tar()
    }
}
