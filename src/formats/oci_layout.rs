//! `index.json` of an OCI layout (image-spec, image-layout.md): the list of the images that the layout holds.

use serde_json::{Map, Value, json};

/// The annotation that gives an image its name in the layout (image-spec, annotations.md).
pub(crate) const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// The document that lists `manifests`.
pub(crate) fn index(manifests: Vec<Value>) -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": manifests,
    })
}

/// The entries of the document `bytes` that have another name than `reference`.
pub(crate) fn others(bytes: &[u8], reference: &str) -> serde_json::Result<Vec<Value>> {
    // An object, and no array of its values, which a derived `Deserialize` would take as well.
    let mut index: Map<String, Value> = serde_json::from_slice(bytes)?;
    let manifests: Vec<Value> = index.remove("manifests").map_or(Ok(Vec::new()), serde_json::from_value)?;
    let is_other = |entry: &Value| entry["annotations"][REF_NAME] != reference;
    Ok(manifests.into_iter().filter(is_other).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_image_of_a_name_is_left_out_and_all_others_stay() {
        let named = |name: &str| json!({ "digest": "sha256:00", "annotations": { REF_NAME: name } });
        let document = index(vec![named("a"), json!("odd"), named("b")]);
        let bytes = serde_json::to_vec(&document).unwrap();
        assert_eq!(others(&bytes, "b").unwrap(), [named("a"), json!("odd")]);
        assert_eq!(others(b"{}", "b").unwrap(), Vec::<Value>::new());
    }

    #[test]
    fn what_is_no_object_with_a_list_is_refused() {
        for text in ["[", "[]", "[[]]", "[[1]]", "null", r#"{"manifests":null}"#, r#"{"manifests":{}}"#] {
            assert!(others(text.as_bytes(), "b").is_err(), "{text}");
        }
    }
}
