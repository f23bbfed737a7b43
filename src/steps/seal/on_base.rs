//! The documents of an image that is built on a base image: the config of the base image, with some values replaced by
//! lath's.

use std::collections::BTreeMap;

use crate::formats::oci::{self, Config, Execution, History};
use crate::model::image::{BlobDigest, Layer, LayerContents};
use crate::model::image_source::ImageSource;
use crate::model::request::{BaseImageRequest, OnBase};

/// Docker's field with commands that run when a Dockerfile starts from the image. It is removed, because these commands
/// are meant for Dockerfiles that start from the base image.
const ON_BUILD: &str = "OnBuild";

/// Returns the pre-defined annotations with the name and the digest of the base image (annotations.md). A path of the
/// building machine is not used as a name.
pub(super) fn annotations(base: &BaseImageRequest, digest: Option<BlobDigest>) -> BTreeMap<String, String> {
    let name = match &base.source {
        ImageSource::Registry(image) => Some(image.to_string()),
        ImageSource::Daemon(name) | ImageSource::DockerArchive { name: Some(name), .. } => Some(name.clone()),
        ImageSource::Oci { .. } | ImageSource::OciArchive { .. } | ImageSource::DockerArchive { name: None, .. } => {
            None
        }
    };
    let known = [("base.name", name), ("base.digest", digest.map(|digest| digest.0.prefixed()))];
    let known = known.into_iter().filter_map(|(key, value)| Some((format!("org.opencontainers.image.{key}"), value?)));
    known.collect()
}

/// Returns the config of the base image, in which the values of `own` replace the values of the base image. `layers`
/// are all layers of the image.
pub(super) fn config(own: Config, base: OnBase<'_>, layers: &[Layer]) -> Result<Config, serde_json::Error> {
    let base: Config = serde_json::from_str(&base.image.config)?;
    Ok(Config {
        config: execution(own.config, base.config),
        history: history(own.history, base.history, layers),
        other: base.other,
        ..own
    })
}

fn execution(own: Execution, base: Execution) -> Execution {
    let mut labels = base.labels;
    labels.extend(own.labels);
    let mut exposed_ports = base.exposed_ports;
    exposed_ports.extend(own.exposed_ports);
    let mut volumes = base.volumes;
    volumes.extend(own.volumes);
    let mut other = base.other;
    other.remove(ON_BUILD);
    Execution {
        labels,
        exposed_ports,
        volumes,
        other,
        healthcheck: own.healthcheck.or(base.healthcheck),
        stop_signal: own.stop_signal.or(base.stop_signal),
        working_dir: own.working_dir.or(base.working_dir),
        ..own
    }
}

/// Returns the history of the base image and of lath's layers. Engines refuse a history whose entries do not fit the
/// layers. If the base image has such a history, all of its entries are replaced.
fn history(own: Vec<History>, base: Vec<History>, layers: &[Layer]) -> Vec<History> {
    let below = layers.iter().filter(|layer| layer.contents == LayerContents::Blob).count();
    let is_empty = |entry: &&History| entry.other.get("empty_layer").is_some_and(|value| value == true);
    let fits = base.len() - base.iter().filter(is_empty).count() == below;
    let of_base = || vec![History { created_by: "base image".to_owned(), ..History::default() }; below];
    let mut all = if fits { base } else { of_base() };
    all.extend(own.into_iter().skip(below));
    all
}

/// Returns OCI's media type for a layer of Docker. The bytes are the same, but a manifest should not mix OCI's and
/// Docker's types.
pub(super) fn media_type(layer: &Layer) -> &str {
    match layer.media_type.as_str() {
        oci::DOCKER_LAYER => oci::LAYER,
        oci::DOCKER_LAYER_GZIP => oci::LAYER_GZIP,
        oci::DOCKER_LAYER_ZSTD => oci::LAYER_ZSTD,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::digest::Digest;
    use crate::model::image::DiffId;

    fn layer(contents: LayerContents) -> Layer {
        Layer {
            title: String::new(),
            digest: BlobDigest(Digest::of(b"")),
            diff_id: DiffId(Digest::of(b"")),
            media_type: oci::DOCKER_LAYER_ZSTD.to_owned(),
            size_bytes: 0,
            tar_bytes: 0,
            files_bytes: 0,
            contents,
            annotations: BTreeMap::new(),
        }
    }

    #[test]
    fn a_history_that_does_not_fit_the_layers_is_replaced() {
        let layers = [layer(LayerContents::Blob), layer(LayerContents::Segments(Vec::new()))];
        let entry = |text: &str| History { created_by: text.to_owned(), ..History::default() };
        let empty = History { other: serde_json::from_str(r#"{"empty_layer": true}"#).unwrap(), ..entry("CMD") };
        let of = |base: Vec<History>| {
            let all = history(vec![entry("below"), entry("own")], base, &layers);
            all.into_iter().map(|one| one.created_by).collect::<Vec<_>>().join(", ")
        };
        assert_eq!(of(vec![entry("ADD"), empty.clone()]), "ADD, CMD, own");
        assert_eq!(of(Vec::new()), "base image, own");
        assert_eq!(of(vec![entry("ADD"), entry("RUN"), empty]), "base image, own");
        assert_eq!(media_type(&layers[0]), oci::LAYER_ZSTD);
    }
}
