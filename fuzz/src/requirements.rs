//! The target for files of requirements, which uv's parser reads.

use std::sync::OnceLock;

use uv_client::{BaseClientBuilder, Connectivity};
use uv_requirements_txt::{RequirementsTxt, SourceCache};

/// Files of requirements, like `lath build -r` reads them. The folder of the files that they name does not exist.
pub fn requirements(bytes: &[u8]) {
    const FOLDER: &str = "/nonexistent/folder";
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_current_thread().build().expect("a runtime without timers needs nothing")
    });
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    // `-r /dev/zero` would be read for ever. This target is not about such files, because the user wrote the line.
    if text.contains("/dev/") || text.contains("/proc/") {
        return;
    }
    let client = BaseClientBuilder::default().connectivity(Connectivity::Offline);
    let path = format!("{FOLDER}/requirements.txt");
    let mut sources = SourceCache::default();
    let read = runtime.block_on(RequirementsTxt::parse_str(text, &path, FOLDER, &client, &mut sources));
    let Ok(read) = read else { return };
    for entry in &read.requirements {
        let _ = entry.requirement.to_string();
    }
}
