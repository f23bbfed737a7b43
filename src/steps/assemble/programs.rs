//! The metadata of the requested distributions, from which the image's annotations are made.

use crate::formats::metadata;
use crate::model::assembly::Program;
use crate::model::lock::PlatformLock;
use crate::model::part::{Part, PartContents};
use crate::model::tree::Origin;

/// Returns the distributions that the user requested, sorted by name.
pub(super) fn programs(lock: &PlatformLock, parts: &[Part]) -> Vec<Program> {
    let mut programs = Vec::new();
    for part in parts {
        let (PartContents::Wheel(wheel), Origin::Wheel { name, version }) = (&part.contents, &part.origin) else {
            continue;
        };
        if lock.requests(name) {
            let said = metadata::read(&wheel.metadata);
            programs.push(Program {
                name: name.clone(),
                version: version.clone(),
                summary: said.summary,
                licenses: said.licenses,
                homepage: said.homepage,
                source: said.source,
                documentation: said.documentation,
            });
        }
    }
    programs.sort();
    programs
}
