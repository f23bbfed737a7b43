//! Paths in keys of the cache. A key is computed from JSON, which can contain only texts. But a path is a list of bytes
//! (POSIX.1, "Pathname"), which need not be a text.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};

/// A path as a text. If its bytes are not UTF-8, the text is a NUL and the hexadecimal digits of the bytes. No other
/// path has this text, because no path contains a NUL.
struct Key<'a>(&'a Path);

impl Serialize for Key<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.to_str() {
            Some(text) => serializer.serialize_str(text),
            None => serializer.serialize_str(&format!("\0{}", hex::encode(self.0.as_os_str().as_bytes()))),
        }
    }
}

pub(crate) fn one<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    Key(path).serialize(serializer)
}

pub(crate) fn list<S: Serializer>(paths: &[PathBuf], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(paths.iter().map(|path| Key(path)))
}

#[expect(clippy::ref_option, reason = "serde passes a reference to the field")]
pub(crate) fn optional<S: Serializer>(path: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
    path.as_deref().map(Key).serialize(serializer)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    #[test]
    fn paths_that_are_not_utf_8_have_different_texts() {
        let text = |bytes: &[u8]| serde_json::to_string(&Key(Path::new(OsStr::from_bytes(bytes)))).unwrap();
        assert_eq!(text(b"/a/b"), r#""/a/b""#);
        assert_eq!(text(b"p\xff"), r#""\u000070ff""#);
        assert_ne!(text(b"p\xff"), text(b"p\xfe"));
    }
}
