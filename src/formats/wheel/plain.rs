//! Writes a wheel again, so that its bytes depend only on its files: their names, their contents, and whether they are
//! executable. The order, the times and the compression are always the same, and each mode is 0755 or 0644.

use std::io::{self, Read, Seek, Write};

use thiserror::Error;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use super::{Wheel, WheelError};

#[derive(Debug, Error)]
pub(crate) enum PlainError {
    #[error(transparent)]
    Wheel(#[from] WheelError),
    #[error("cannot write the wheel")]
    Write(#[from] zip::result::ZipError),
    #[error("cannot copy a file of the wheel")]
    Copy(#[from] io::Error),
}

impl<R: Read + Seek> Wheel<R> {
    /// Writes the wheel to `writer`. RECORD comes last, and its lines are sorted.
    pub(crate) fn write_plain<W: Write + Seek>(mut self, writer: W) -> Result<W, PlainError> {
        let record = format!("{}/RECORD", self.dist_info);
        let mut order: Vec<(bool, String)> = self.names.iter().map(|name| (*name == record, name.clone())).collect();
        order.sort();
        let mut zip = ZipWriter::new(writer);
        for (is_record, name) in order.into_iter().filter(|(_, name)| !name.ends_with('/')) {
            let index = self.archive.index_for_name(&name);
            let file = index.ok_or(zip::result::ZipError::FileNotFound).and_then(|index| self.archive.by_index(index));
            let mut file = file.map_err(|source| WheelError::Entry { file: name.clone(), source })?;
            let mode = if file.unix_mode().is_some_and(|mode| mode & 0o111 != 0) { 0o755 } else { 0o644 };
            let options = SimpleFileOptions::default()
                .compression_method(CompressionMethod::Deflated)
                .last_modified_time(DateTime::default())
                .large_file(file.size() > u64::from(u32::MAX) / 2)
                .unix_permissions(mode);
            zip.start_file(name, options)?;
            if is_record {
                let mut text = String::new();
                file.read_to_string(&mut text)?;
                let mut lines: Vec<&str> = text.lines().collect();
                lines.sort_unstable();
                zip.write_all((lines.join("\n") + "\n").as_bytes())?;
            } else {
                io::copy(&mut file, &mut zip)?;
            }
        }
        Ok(zip.finish()?)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn wheel(files: &[(&str, &str)], mode: u32, year: u16) -> Vec<u8> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, text) in files {
            let time = DateTime::from_date_and_time(year, 5, 1, 1, 2, 4).unwrap();
            let options = SimpleFileOptions::default().last_modified_time(time).unix_permissions(mode);
            zip.start_file(*name, options).unwrap();
            zip.write_all(text.as_bytes()).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    fn plain(bytes: Vec<u8>) -> Vec<u8> {
        Wheel::open(Cursor::new(bytes)).unwrap().write_plain(Cursor::new(Vec::new())).unwrap().into_inner()
    }

    #[test]
    fn the_same_files_give_the_same_bytes() {
        let (a, metadata, info) = (("a.py", "1"), ("a-1.dist-info/METADATA", "x"), ("a-1.dist-info/WHEEL", "y"));
        let record = |text| ("a-1.dist-info/RECORD", text);
        let one = plain(wheel(&[a, metadata, info, record("b,,\na,,\n")], 0o644, 2020));
        assert_eq!(one, plain(wheel(&[record("a,,\nb,,"), info, a, metadata], 0o600, 2024)));
        assert_ne!(one, plain(wheel(&[a, metadata, info, record("b,,\na,,\n")], 0o755, 2020)));
        let mut archive = zip::ZipArchive::new(Cursor::new(&one)).unwrap();
        let names: Vec<String> = archive.file_names().map(|name| name.unwrap().into_owned()).collect();
        assert_eq!(names, ["a-1.dist-info/METADATA", "a-1.dist-info/WHEEL", "a.py", "a-1.dist-info/RECORD"]);
        let mut text = String::new();
        archive.by_name("a-1.dist-info/RECORD").unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "a,,\nb,,\n");
    }
}
