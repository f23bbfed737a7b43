//! The files of the build context. All paths are relative to the context, because an engine gets a copy of these files in
//! another folder.

use std::path::PathBuf;

use super::{DockerfileError, Page, sources};
use crate::model::application::AppFile;
use crate::rivals::model::dockerfile::{ContextContents, ContextFile};

/// Returns all files and folders that the Dockerfile copies.
pub(super) fn context(page: &Page<'_>) -> Result<Vec<ContextFile>, DockerfileError> {
    let mut files = Vec::new();
    for copied in &page.request.copies {
        let path = PathBuf::from(page.in_context(&copied.source)?);
        files.push(ContextFile { path, contents: ContextContents::Tree(copied.source.clone()) });
    }
    if let Some(app) = &page.request.app {
        let folder = PathBuf::from(page.in_context(&app.folder)?);
        files.extend(app.files.files.iter().map(|(path, file)| ContextFile {
            path: folder.join(path),
            contents: match file {
                AppFile::File { source, .. } => ContextContents::File(source.clone()),
                AppFile::Link { target } => ContextContents::Link(target.clone()),
            },
        }));
    }
    files.extend(sources::context(page)?);
    Ok(files)
}
