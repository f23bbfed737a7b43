//! Checks an image using only its bytes, and lists its files.
//!
//! Source: the OCI image specification (image-layout.md, index, manifest, config, layer) and the format of `docker
//! save`. Its `manifest.json` may be in the same tar file.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Cursor, Read};
use std::path::Path;

use serde_json::Value;

use crate::digest::sha256_hex;

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// A valid image.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    /// The digest of the image. It is the digest of the only manifest or index in `index.json`.
    pub digest: String,
    /// The names of the image in the index (`org.opencontainers.image.ref.name`).
    pub names: Vec<String>,
    /// The tags in Docker's `manifest.json`.
    pub docker_tags: Vec<String>,
    pub platforms: Vec<CheckedPlatform>,
}

/// The image of one platform.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckedPlatform {
    /// For example `linux/amd64`.
    pub platform: String,
    pub manifest: Value,
    pub config: Value,
    /// The sizes of the layers as blobs.
    pub layer_sizes: Vec<u64>,
    /// The file system of the image, after all layers were applied. The keys are paths without slashes at both ends.
    pub files: BTreeMap<String, File>,
}

/// One path of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    pub kind: Kind,
    pub mode: u32,
    pub size: u64,
    pub uid: u64,
    pub gid: u64,
    pub mtime: u64,
    /// The bytes of a regular file.
    pub bytes: Vec<u8>,
    /// The number of the layer that contains the path. The first layer has the number 0.
    pub layer: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    File,
    Folder,
    Link(String),
    HardLink(String),
}

impl CheckedPlatform {
    /// Returns one line per path for snapshots, with kind, mode, owner and path.
    pub fn listing(&self) -> String {
        let line = |(path, file): (&String, &File)| {
            let (kind, target) = match &file.kind {
                Kind::File => ("file", String::new()),
                Kind::Folder => ("dir ", String::new()),
                Kind::Link(target) => ("link", format!(" -> {target}")),
                Kind::HardLink(target) => ("hard", format!(" => {target}")),
            };
            format!("{kind} {:04o} {}:{} /{path}{target}\n", file.mode, file.uid, file.gid)
        };
        self.files.iter().map(line).collect()
    }

    /// Returns the text of a file. Returns `None` if the file does not exist or is not text.
    pub fn text(&self, path: &str) -> Option<&str> {
        std::str::from_utf8(&self.files.get(path.trim_matches('/'))?.bytes).ok()
    }
}

impl Checked {
    /// Returns the whole contents of the image, one item per line.
    fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!("digest {}", self.digest)];
        for platform in &self.platforms {
            let of = &platform.platform;
            lines.push(format!("{of} manifest {}", platform.manifest));
            lines.push(format!("{of} config {}", platform.config));
            lines.extend(platform.listing().lines().zip(platform.files.values()).map(|(line, file)| {
                let (layer, size, time, sum) = (file.layer, file.size, file.mtime, sha256_hex(&file.bytes));
                format!("{of} {line}  layer {layer}, {size} bytes, time {time}, sha256 {}", &sum[..12])
            }));
        }
        lines
    }

    /// Returns the lines that are only in this image or only in `other`. The result is empty if both images are the
    /// same.
    pub fn difference(&self, other: &Self) -> String {
        let (mine, others) = (self.lines(), other.lines());
        let only = |these: &[String], those: &[String], sign: char| -> String {
            let those: BTreeSet<&String> = those.iter().collect();
            these.iter().filter(|line| !those.contains(line)).map(|line| format!("{sign} {line}\n")).collect()
        };
        only(&mine, &others, '-') + &only(&others, &mine, '+')
    }
}

/// Checks the image layout in a directory or tar file. Reports all errors at once.
pub fn check(path: &Path) -> Result<Checked, Vec<String>> {
    let blobs = if path.is_dir() { read_folder(path) } else { read_tar(path) };
    let mut checker = Checker { files: blobs.map_err(|problem| vec![problem])?, ..Checker::default() };
    let checked = checker.check_layout();
    match checked {
        Some(checked) if checker.problems.is_empty() => Ok(checked),
        _ => Err(checker.problems),
    }
}

fn read_folder(root: &Path) -> Result<BTreeMap<String, Vec<u8>>, String> {
    let mut files = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))? {
            let path = entry.map_err(|error| error.to_string())?.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(root).expect("it lies below the root").to_string_lossy().into_owned();
            files.insert(name, fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?);
        }
    }
    Ok(files)
}

fn read_tar(path: &Path) -> Result<BTreeMap<String, Vec<u8>>, String> {
    let told = |error: std::io::Error| format!("{}: {error}", path.display());
    let mut archive = tar::Archive::new(fs::File::open(path).map_err(told)?);
    let mut files = BTreeMap::new();
    let mut links = Vec::new();
    for entry in archive.entries().map_err(told)? {
        let mut entry = entry.map_err(told)?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).trim_start_matches("./").to_owned();
        if entry.header().entry_type().is_dir() {
            continue;
        }
        if let Some(target) = entry.link_name_bytes() {
            links.push((name, String::from_utf8_lossy(&target).into_owned()));
            continue;
        }
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).map_err(told)?;
        if files.insert(name.clone(), bytes).is_some() {
            return Err(format!("`{name}` is twice in the archive"));
        }
    }
    for (name, target) in links {
        // In Docker's archives, a layer may be a link to an older one, such as `../ID/layer.tar`.
        let bytes = files.get(target.trim_start_matches("../")).cloned();
        files.insert(name.clone(), bytes.ok_or_else(|| format!("`{name}` links to `{target}`, which is not there"))?);
    }
    Ok(files)
}

#[derive(Default)]
struct Checker {
    files: BTreeMap<String, Vec<u8>>,
    problems: Vec<String>,
    /// The blobs that a descriptor refers to.
    named: BTreeSet<String>,
}

impl Checker {
    fn problem(&mut self, text: impl Into<String>) {
        self.problems.push(text.into());
    }

    fn claim(&mut self, holds: bool, text: impl FnOnce() -> String) {
        if !holds {
            self.problems.push(text());
        }
    }

    fn check_layout(&mut self) -> Option<Checked> {
        let layout = self.json_file("oci-layout")?;
        self.claim(layout["imageLayoutVersion"] == "1.0.0", || format!("`oci-layout` says {layout}"));
        let index = self.json_file("index.json")?;
        self.claim(index["schemaVersion"] == 2, || "`index.json` has no schemaVersion 2".to_owned());
        let descriptors = array(&index["manifests"]);
        self.claim(!descriptors.is_empty(), || "`index.json` names no image".to_owned());
        let mut platforms = Vec::new();
        let mut names = Vec::new();
        for descriptor in &descriptors {
            names.extend(descriptor["annotations"]["org.opencontainers.image.ref.name"].as_str().map(str::to_owned));
            self.check_target(descriptor, &mut platforms);
        }
        let docker_tags = self.check_docker(&platforms);
        let blobs: Vec<String> =
            self.files.keys().filter_map(|name| name.strip_prefix("blobs/sha256/")).map(str::to_owned).collect();
        for blob in blobs {
            let is_named = self.named.contains(&blob);
            self.claim(is_named, || format!("the blob `{blob}` is named by nothing"));
        }
        let digest = descriptors.first().and_then(|first| first["digest"].as_str())?.to_owned();
        Some(Checked { digest, names, docker_tags, platforms })
    }

    /// Checks the manifest that a descriptor refers to, or all manifests of an index.
    fn check_target(&mut self, descriptor: &Value, platforms: &mut Vec<CheckedPlatform>) {
        let Some(document) = self.json_blob(descriptor) else { return };
        let media_type = descriptor["mediaType"].as_str().unwrap_or_default().to_owned();
        self.claim(document["schemaVersion"] == 2, || format!("a {media_type} has no schemaVersion 2"));
        let inner = document["mediaType"].as_str().unwrap_or(&media_type);
        self.claim(inner == media_type, || format!("a descriptor says {media_type}, its document {inner}"));
        match media_type.as_str() {
            MANIFEST => platforms.extend(self.check_manifest(descriptor, document)),
            INDEX => {
                for child in array(&document["manifests"]) {
                    self.claim(child["platform"].is_object(), || "a manifest of an index has no platform".to_owned());
                    self.check_target(&child, platforms);
                }
            }
            other => self.problem(format!("`{other}` is neither an image nor an index")),
        }
    }

    fn check_manifest(&mut self, descriptor: &Value, manifest: Value) -> Option<CheckedPlatform> {
        self.claim(manifest["config"]["mediaType"] == CONFIG, || {
            format!("the config is a {}", manifest["config"]["mediaType"])
        });
        let config = self.json_blob(&manifest["config"])?;
        let platform = format!("{}/{}", text(&config["os"]), text(&config["architecture"]));
        if let Some(told) = descriptor["platform"].as_object() {
            for field in ["os", "architecture", "variant"] {
                let (index, inner) = (told.get(field).unwrap_or(&Value::Null), &config[field]);
                self.claim(index == inner, || format!("the index says {field} {index}, the config {inner}"));
            }
        }
        self.claim(config["rootfs"]["type"] == "layers", || "rootfs.type is not `layers`".to_owned());
        let layers = array(&manifest["layers"]);
        let diff_ids = array(&config["rootfs"]["diff_ids"]);
        self.claim(layers.len() == diff_ids.len(), || format!("{} layers, {} diff IDs", layers.len(), diff_ids.len()));
        if config["history"].is_array() {
            let filled = array(&config["history"]).iter().filter(|step| step["empty_layer"] != true).count();
            self.claim(filled == layers.len(), || format!("{} layers, {filled} in the history", layers.len()));
        }
        let mut files = BTreeMap::new();
        for (number, (layer, diff_id)) in layers.iter().zip(&diff_ids).enumerate() {
            self.check_layer(number, layer, text(diff_id), &mut files);
        }
        let layer_sizes = layers.iter().filter_map(|layer| layer["size"].as_u64()).collect();
        Some(CheckedPlatform { platform, manifest, config, layer_sizes, files })
    }

    fn check_layer(&mut self, number: usize, layer: &Value, diff_id: &str, files: &mut BTreeMap<String, File>) {
        let Some(blob) = self.blob(layer) else { return };
        let media_type = text(&layer["mediaType"]);
        let (kind, unpacked) = decompressed(&blob);
        let expected = format!("{LAYER}{kind}");
        self.claim(media_type == expected, || {
            format!("layer {number} is called {media_type}, its bytes are {expected}")
        });
        let unpacked = match unpacked {
            Ok(bytes) => bytes,
            Err(error) => return self.problem(format!("layer {number} cannot be decompressed: {error}")),
        };
        let found = format!("sha256:{}", sha256_hex(&unpacked));
        self.claim(found == diff_id, || format!("layer {number} has the diff ID {found}, the config says {diff_id}"));
        self.claim(unpacked.len() % 512 == 0 && unpacked.ends_with(&[0; 1024]), || {
            format!("layer {number} does not end as a tar does")
        });
        if let Err(error) = self.check_tar(number, &unpacked, files) {
            self.problem(format!("layer {number} is no tar: {error}"));
        }
    }

    fn check_tar(&mut self, number: usize, tar: &[u8], files: &mut BTreeMap<String, File>) -> std::io::Result<()> {
        let mut seen = BTreeSet::new();
        for entry in tar::Archive::new(tar).entries()? {
            let mut entry = entry?;
            let raw = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let path = raw.trim_start_matches("./").trim_end_matches('/').to_owned();
            let is_odd = raw.starts_with('/')
                || path.split('/').any(|step| matches!(step, "." | "..") || (step.is_empty() && !path.is_empty()));
            self.claim(!is_odd, || format!("layer {number}: `{raw}` is no relative path"));
            self.claim(seen.insert(path.clone()), || format!("layer {number}: `{raw}` is there twice"));
            if let Some((parent, _)) = path.rsplit_once('/') {
                let is_folder = files.get(parent).is_some_and(|file| file.kind == Kind::Folder);
                self.claim(is_folder, || format!("layer {number}: `{raw}` comes without its folder"));
            }
            if path.split('/').any(|step| step.starts_with(".wh.")) {
                let removed =
                    removed_path(&path).filter(|_| entry.header().entry_type().is_file() && entry.size() == 0);
                let removed = removed.filter(|removed| files.get(removed).is_some_and(|file| file.layer < number));
                let Some(removed) = removed.filter(|removed| seen.insert(removed.clone())) else {
                    self.problem(format!("layer {number}: `{raw}` is a whiteout of no path in a lower layer"));
                    continue;
                };
                files.retain(|path, _| *path != removed && !path.starts_with(&format!("{removed}/")));
                continue;
            }
            let target = entry.link_name_bytes().map(|target| String::from_utf8_lossy(&target).into_owned());
            let kind = match (entry.header().entry_type(), target) {
                (tar::EntryType::Regular, _) => Kind::File,
                (tar::EntryType::Directory, _) => Kind::Folder,
                (tar::EntryType::Symlink, Some(target)) => Kind::Link(target),
                (tar::EntryType::Link, Some(target)) => Kind::HardLink(target),
                (other, _) => {
                    self.problem(format!("layer {number}: `{raw}` is a {other:?}"));
                    continue;
                }
            };
            if let Kind::HardLink(target) = &kind {
                let is_there = seen.contains(target.trim_start_matches("./"));
                self.claim(is_there, || {
                    format!("layer {number}: `{raw}` is linked to `{target}`, which does not come before it")
                });
            }
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes)?;
            let header = entry.header();
            let (mode, mtime) = (header.mode()?, header.mtime()?);
            let file = File {
                kind,
                mode,
                mtime,
                uid: header.uid()?,
                gid: header.gid()?,
                size: bytes.len() as u64,
                bytes,
                layer: number,
            };
            let replaces_folder =
                files.get(&path).is_some_and(|old| old.kind == Kind::Folder && file.kind != Kind::Folder);
            self.claim(!replaces_folder, || format!("layer {number}: `{raw}` stands where a folder is"));
            if !path.is_empty() {
                files.insert(path, file);
            }
        }
        Ok(())
    }

    /// Checks Docker's `manifest.json`, if there is one. It must have the same configs and layers.
    fn check_docker(&mut self, platforms: &[CheckedPlatform]) -> Vec<String> {
        if !self.files.contains_key("manifest.json") {
            return Vec::new();
        }
        let mut tags = Vec::new();
        for image in array(&self.json_file("manifest.json").unwrap_or_default()) {
            tags.extend(array(&image["RepoTags"]).iter().map(|tag| text(tag).to_owned()));
            let Some(config) = self.json_file(text(&image["Config"])) else { continue };
            let is_same = platforms.iter().any(|platform| platform.config == config);
            self.claim(is_same, || format!("Docker's config `{}` is none of the image's", image["Config"]));
            let (layers, diff_ids) = (array(&image["Layers"]), array(&config["rootfs"]["diff_ids"]));
            self.claim(layers.len() == diff_ids.len(), || "Docker's layers are not as many as the diff IDs".to_owned());
            for (layer, diff_id) in layers.iter().zip(&diff_ids) {
                let found = self.files.get(text(layer)).and_then(|bytes| decompressed(bytes).1.ok());
                let found = found.map(|bytes| format!("sha256:{}", sha256_hex(&bytes)));
                self.claim(found.as_deref() == diff_id.as_str(), || format!("Docker's layer {layer} is not {diff_id}"));
            }
        }
        tags
    }

    fn json_file(&mut self, name: &str) -> Option<Value> {
        let parsed = self.files.get(name).map(|bytes| serde_json::from_slice(bytes));
        match parsed {
            Some(Ok(value)) => return Some(value),
            Some(Err(error)) => self.problem(format!("`{name}` is no JSON: {error}")),
            None => self.problem(format!("`{name}` is missing")),
        }
        None
    }

    fn json_blob(&mut self, descriptor: &Value) -> Option<Value> {
        let blob = self.blob(descriptor)?;
        let parsed = serde_json::from_slice(&blob);
        self.claim(parsed.is_ok(), || format!("the blob {} is no JSON", descriptor["digest"]));
        parsed.ok()
    }

    /// Returns the blob that a descriptor refers to, and checks its digest and size.
    fn blob(&mut self, descriptor: &Value) -> Option<Vec<u8>> {
        let digest = text(&descriptor["digest"]).to_owned();
        let Some(hex) = digest.strip_prefix("sha256:") else {
            self.problem(format!("`{digest}` is not a digest"));
            return None;
        };
        self.named.insert(hex.to_owned());
        let Some(bytes) = self.files.get(&format!("blobs/sha256/{hex}")).cloned() else {
            self.problem(format!("the blob `{digest}` is missing"));
            return None;
        };
        let found = sha256_hex(&bytes);
        self.claim(found == hex, || format!("the blob `{digest}` has the sha256 {found}"));
        let (told, size) = (&descriptor["size"], bytes.len());
        self.claim(told.as_u64() == Some(size as u64), || {
            format!("the blob `{digest}` has {size} bytes, its descriptor says {told}")
        });
        Some(bytes)
    }
}

/// Returns the path that the whiteout at `path` removes from the lower layers. `None` if a folder has a name like a
/// whiteout.
fn removed_path(path: &str) -> Option<String> {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let removed = name.strip_prefix(".wh.").filter(|name| !name.is_empty() && !name.starts_with(".wh."))?;
    let removed = if folder.is_empty() { removed.to_owned() } else { format!("{folder}/{removed}") };
    (!removed.split('/').any(|step| step.starts_with(".wh."))).then_some(removed)
}

fn array(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Returns the tar file in a blob, and the ending that the media type must have because of the compression.
fn decompressed(blob: &[u8]) -> (&'static str, std::io::Result<Vec<u8>>) {
    let mut bytes = Vec::new();
    if blob.starts_with(&[0x1f, 0x8b]) {
        let result = flate2::read::MultiGzDecoder::new(blob).read_to_end(&mut bytes);
        ("+gzip", result.map(|_| bytes))
    } else if blob.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        ("+zstd", zstd::decode_all(Cursor::new(blob)))
    } else {
        ("", Ok(blob.to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::deb::{Compression, compress};

    type Path4 = (&'static str, tar::EntryType, u32, &'static str);

    fn layer(entries: &[Path4]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (path, kind, mode, content) in entries {
            let mut header = tar::Header::new_gnu();
            header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
            header.set_entry_type(*kind);
            header.set_mode(*mode);
            header.set_uid(0);
            header.set_gid(0);
            header.set_mtime(0);
            let is_link = kind.is_symlink() || kind.is_hard_link();
            if is_link {
                header.set_link_name(content).unwrap();
            }
            let bytes = if is_link { b"" } else { content.as_bytes() };
            header.set_size(bytes.len() as u64);
            header.set_cksum();
            builder.append(&header, bytes).unwrap();
        }
        builder.into_inner().unwrap()
    }

    const GOOD: &[Path4] = &[
        ("etc/", tar::EntryType::Directory, 0o755, ""),
        ("etc/passwd", tar::EntryType::Regular, 0o644, "root:x:0:0\n"),
        ("etc/link", tar::EntryType::Symlink, 0o777, "passwd"),
    ];

    fn blob(files: &mut BTreeMap<String, Vec<u8>>, media_type: &str, bytes: Vec<u8>) -> Value {
        let digest = sha256_hex(&bytes);
        let descriptor = json!({ "mediaType": media_type, "digest": format!("sha256:{digest}"), "size": bytes.len() });
        files.insert(format!("blobs/sha256/{digest}"), bytes);
        descriptor
    }

    /// Builds a layout with one layer for amd64, and with Docker's `manifest.json`.
    fn layout(tar: &[u8], packed: Vec<u8>, media_type: &str) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        let layer = blob(&mut files, media_type, packed);
        let config = json!({
            "os": "linux", "architecture": "amd64", "history": [{}],
            "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{}", sha256_hex(tar))] },
        });
        let config = blob(&mut files, CONFIG, config.to_string().into_bytes());
        let path = |descriptor: &Value| text(&descriptor["digest"]).replace("sha256:", "blobs/sha256/");
        let docker = json!([{ "Config": path(&config), "RepoTags": ["demo:latest"], "Layers": [path(&layer)] }]);
        let manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer] });
        let mut manifest = blob(&mut files, MANIFEST, manifest.to_string().into_bytes());
        manifest["annotations"] = json!({ "org.opencontainers.image.ref.name": "demo" });
        files
            .insert("index.json".to_owned(), json!({ "schemaVersion": 2, "manifests": [manifest] }).to_string().into());
        files.insert("oci-layout".to_owned(), json!({ "imageLayoutVersion": "1.0.0" }).to_string().into());
        files.insert("manifest.json".to_owned(), docker.to_string().into());
        files
    }

    fn write(files: &BTreeMap<String, Vec<u8>>) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        folder
    }

    fn problems(files: &BTreeMap<String, Vec<u8>>) -> String {
        check(write(files).path()).unwrap_err().join("\n")
    }

    fn problems_of_layer(more: &[Path4]) -> String {
        let tar = layer(&[GOOD, more].concat());
        problems(&layout(&tar, tar.clone(), LAYER))
    }

    #[test]
    fn a_good_image_is_listed_whatever_its_compression() {
        let tar = layer(GOOD);
        let halves = [&tar[..512], &tar[512..]].map(|half| compress(half, Compression::Gzip)).concat();
        for (packed, media_type) in [
            (tar.clone(), LAYER.to_owned()),
            (halves, format!("{LAYER}+gzip")),
            (compress(&tar, Compression::Zstd), format!("{LAYER}+zstd")),
        ] {
            let image = check(write(&layout(&tar, packed, &media_type)).path()).unwrap();
            assert_eq!((image.names, image.docker_tags), (vec!["demo".to_owned()], vec!["demo:latest".to_owned()]));
            assert_eq!(image.platforms[0].platform, "linux/amd64");
            assert_eq!(image.platforms[0].text("/etc/passwd"), Some("root:x:0:0\n"));
            let listing = "dir  0755 0:0 /etc\nlink 0777 0:0 /etc/link -> passwd\nfile 0644 0:0 /etc/passwd\n";
            assert_eq!(image.platforms[0].listing(), listing);
        }
    }

    #[test]
    fn a_tar_of_the_layout_is_the_same_image() {
        let tar = layer(GOOD);
        let folder = write(&layout(&tar, tar.clone(), LAYER));
        let archive = tempfile::NamedTempFile::new().unwrap();
        let mut builder = tar::Builder::new(archive.reopen().unwrap());
        builder.append_dir_all(".", folder.path()).unwrap();
        builder.finish().unwrap();
        assert_eq!(check(archive.path()), check(folder.path()));
        assert!(check(archive.path()).is_ok());
    }

    #[test]
    fn every_lie_about_a_blob_is_found() {
        let tar = layer(GOOD);
        let good = layout(&tar, tar.clone(), LAYER);
        let layer_name = format!("blobs/sha256/{}", sha256_hex(&tar));
        let mut changed = good.clone();
        changed.get_mut(&layer_name).unwrap()[0] = b'f';
        let text = problems(&changed);
        assert!(text.contains("has the sha256") && text.contains("has the diff ID"), "{text}");
        let mut longer = good.clone();
        longer.get_mut(&layer_name).unwrap().extend([0; 512]);
        assert!(problems(&longer).contains("its descriptor says"));
        let mut missing = good.clone();
        missing.remove(&layer_name);
        assert!(problems(&missing).contains("is missing"));
        let mut more = good.clone();
        more.insert("blobs/sha256/00".to_owned(), Vec::new());
        assert_eq!(problems(&more), "the blob `00` is named by nothing");
        let wrong_type = layout(&tar, compress(&tar, Compression::Zstd), &format!("{LAYER}+gzip"));
        assert!(problems(&wrong_type).contains("its bytes are"));
        assert!(problems(&BTreeMap::new()).contains("`oci-layout` is missing"));
        let mut docker = good;
        docker.insert("manifest.json".to_owned(), b"[{\"Config\":\"index.json\"}]".to_vec());
        assert!(problems(&docker).contains("is none of the image's"));
    }

    #[test]
    fn what_no_layer_may_hold_is_found() {
        let file = tar::EntryType::Regular;
        let table: [(Path4, &str); 7] = [
            (("etc/passwd", file, 0o644, "x"), "is there twice"),
            (("../evil", file, 0o644, "x"), "is no relative path"),
            (("/evil", file, 0o644, "x"), "is no relative path"),
            (("etc/.wh.x", file, 0o644, ""), "is a whiteout"),
            (("usr/bin", file, 0o644, ""), "comes without its folder"),
            (("etc/null", tar::EntryType::Char, 0o644, ""), "is a Char"),
            (("etc/hard", tar::EntryType::Link, 0o644, "etc/none"), "does not come before it"),
        ];
        for (entry, problem) in table {
            let text = problems_of_layer(&[entry]);
            assert!(text.contains(problem), "{problem}: {text}");
        }
    }
}
