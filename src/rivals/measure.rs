//! Measures an image in an engine: its size, its contents and its start time.

use std::collections::BTreeMap;

use crate::formats::deb822::paragraphs;
use crate::formats::oci::saved_image::SavedImage;
use crate::model::image_path::usr_merged;
use crate::rivals::content::content;
use crate::rivals::engine::{Engine, EngineError};
use crate::rivals::model::comparison::{BuildTimes, ComparedImage, Content, Contents, Way};
use crate::rivals::model::dockerfile::ContainerCheck;

/// The number of times that the start of an image is measured.
const ROUNDS: usize = 7;

/// An image in an engine.
#[derive(Clone, Copy)]
pub(crate) struct BuiltImage<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) tag: &'a str,
}

/// Measures the sizes of the image, and the time that `check` takes in it. `user_base` is the directory with the
/// program.
pub(crate) fn measure(
    way: Way,
    image: BuiltImage<'_>,
    check: Option<&ContainerCheck>,
    build: BuildTimes,
    user_base: &str,
) -> Result<ComparedImage, EngineError> {
    let BuiltImage { engine, tag } = image;
    let start_ms = check.map(|check| start(image, check)).transpose()?;
    let raw_bytes = engine.size_bytes(tag)?;
    let saved = engine.saved(tag)?;
    let program = format!("{}/", user_base.trim_matches('/'));
    let is_metadata = |path: &&String| path.starts_with(&program) && path.ends_with(".dist-info/METADATA");
    Ok(ComparedImage {
        way,
        is_measured: true,
        raw_bytes,
        compressed_bytes: saved.compressed_bytes,
        files: saved.present.len() as u64,
        debian_packages: saved.package_lists.len() as u64,
        distributions: saved.present.iter().filter(is_metadata).count() as u64,
        contents: contents(&saved, &program),
        build: Some(build),
        start_ms,
    })
}

/// Returns the median time of `check` in a container, in milliseconds.
pub(crate) fn start(image: BuiltImage<'_>, check: &ContainerCheck) -> Result<u64, EngineError> {
    let time = image.engine.time(image.tag, check, ROUNDS)?;
    Ok(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

/// Adds up the sizes of the files by their purposes. The path of a file determines its purpose. If the path is not
/// enough, the package that contains the file does.
fn contents(saved: &SavedImage, program: &str) -> Contents {
    let mut sections: BTreeMap<String, String> = BTreeMap::new();
    for paragraph in paragraphs(saved.status.as_bytes()).map_while(Result::ok) {
        if let (Some(name), Some(section)) = (paragraph.field("Package"), paragraph.field("Section")) {
            sections.insert(name.to_owned(), section.to_owned());
        }
    }
    let mut owners: BTreeMap<String, Content> = BTreeMap::new();
    for (package, list) in &saved.package_lists {
        let content = content(package, sections.get(package).map_or("", String::as_str));
        owners.extend(list.lines().map(|path| (merged(path), content)));
    }
    let mut contents = Contents::new();
    for (path, bytes) in &saved.files {
        let by_place = Content::of_path(path);
        let by_user_base = path.starts_with(program).then_some(Content::Program);
        let by_owner = || owners.get(&merged(path)).copied();
        let content = by_place.or(by_user_base).or_else(by_owner).unwrap_or(Content::System);
        *contents.entry(content).or_default() += bytes;
    }
    contents
}

/// Returns the path that a file has on a system with a merged `/usr` (usrmerge), without a slash at the beginning. For
/// example, `bin/dash` becomes `usr/bin/dash`.
fn merged(path: &str) -> String {
    usr_merged(path).trim_start_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_belong_to_their_place_their_package_or_the_system() {
        let files = [
            ("usr/bin/dash", 5),
            ("usr/share/doc/dash/copyright", 2),
            ("usr/bin/gcc", 70),
            ("opt/app/lib/tool.py", 11),
            ("etc/passwd", 1),
        ];
        let lists = [("dash", "/bin/dash\n/usr/share/doc/dash/copyright\n"), ("gcc", "/usr/bin/gcc\n")];
        let saved = SavedImage {
            files: files.iter().map(|(path, bytes)| ((*path).to_owned(), *bytes)).collect(),
            package_lists: lists.iter().map(|(name, list)| ((*name).to_owned(), (*list).to_owned())).collect(),
            status: "Package: gcc\nSection: devel\n\nPackage: dash\nSection: shells\n".to_owned(),
            ..SavedImage::default()
        };
        let expected = [
            (Content::Shell, 5),
            (Content::Documentation, 2),
            (Content::Compilers, 70),
            (Content::Program, 11),
            (Content::System, 1),
        ];
        assert_eq!(contents(&saved, "opt/app/"), expected.into());
    }
}
