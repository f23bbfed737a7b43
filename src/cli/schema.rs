//! The JSON schema of configuration files, for editors. The file `docs/lath.schema.json` contains the same schema. A
//! test compares the two.

use serde_json::{Map, Value, json};

use crate::cli::file::OF_THE_RUN;
use crate::cli::options::{Described, Kind, Options};

/// Returns the schema of `lath.toml` and of the table `[tool.lath]`.
pub(super) fn schema(options: &Options) -> Value {
    let described = |(name, option): (&String, &Described)| (name.clone(), property(option));
    let properties: Map<String, Value> = options.0.iter().map(described).collect();
    let mut of_image = properties.clone();
    of_image.retain(|name, _| !OF_THE_RUN.contains(&name.as_str()));
    of_image.insert(
        "name".to_owned(),
        json!({ "type": "string", "minLength": 1, "description": "The name of the image, for `--image` and as its tag" }),
    );
    let image = json!({
        "type": "object",
        "description": "An image of this file. Its options are over the options of the file",
        "properties": of_image,
        "required": ["name"],
        "additionalProperties": false,
    });
    let mut of_file = properties;
    of_file.insert("registry".to_owned(), registry());
    of_file.insert("image".to_owned(), json!({ "type": "array", "items": image }));
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "lath",
        "description": "The settings of lath, in `lath.toml` or in the table `[tool.lath]` of `pyproject.toml`",
        "type": "object",
        "properties": of_file,
        "additionalProperties": false,
    })
}

/// Returns the schema of the tables of registries: `[registry."docker.io"]`.
fn registry() -> Value {
    let mirrors = json!({
        "type": "array",
        "items": { "type": "string" },
        "description": "The mirrors of this registry, in the order in which they are tried",
    });
    json!({
        "type": "object",
        "description": "The registries of images, each by its name",
        "properties": {},
        "additionalProperties": {
            "type": "object",
            "properties": { "mirrors": mirrors },
            "additionalProperties": false,
        },
    })
}

fn property(option: &Described) -> Value {
    let mut schema = match &option.kind {
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::Number => json!({ "type": "integer", "minimum": 0 }),
        Kind::Text | Kind::Path => json!({ "type": "string" }),
        Kind::Choice(choices) => json!({ "type": "string", "enum": choices }),
        Kind::Texts | Kind::Paths => json!({ "type": "array", "items": { "type": "string" } }),
        Kind::TextOrTexts | Kind::Words => json!({ "type": ["array", "string"], "items": { "type": "string" } }),
    };
    schema["description"] = Value::from(option.help.clone());
    schema
}
