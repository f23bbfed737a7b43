//! Columns of stored explanations: lists of texts in which common beginnings are left out, and checks of columns.

use serde::{Deserialize, Serialize};

use crate::model::image_path::ImagePath;

/// The maximum size of all paths in a column together. This limit is necessary because a few stored bytes can become a
/// long path.
pub(super) const MAX_PATH_BYTES: usize = 32 << 20;
/// The maximum number of paths.
pub(super) const MAX_PATHS: usize = 500_000;

/// Texts in their order, such as paths.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct TextColumns {
    /// For each text, the number of bytes at its beginning that are the same as in the previous text. `rest` contains
    /// the other bytes.
    pub(super) shared: Vec<usize>,
    pub(super) rest: Vec<String>,
}

impl TextColumns {
    pub(super) fn of<'a>(texts: impl Iterator<Item = &'a str>) -> Self {
        let (mut columns, mut before) = (Self::default(), "");
        for text in texts {
            let mut shared = before.bytes().zip(text.bytes()).take_while(|(one, other)| one == other).count();
            while !text.is_char_boundary(shared) {
                shared -= 1;
            }
            columns.shared.push(shared);
            columns.rest.push(text[shared..].to_owned());
            before = text;
        }
        columns
    }

    pub(super) fn texts(&self) -> Result<Vec<String>, String> {
        same_length("paths", self.shared.len(), self.rest.len())?;
        if self.rest.len() > MAX_PATHS {
            return Err(format!("it has more than {MAX_PATHS} paths"));
        }
        let lengths = self.shared.iter().zip(&self.rest).map(|(shared, rest)| shared.saturating_add(rest.len()));
        if lengths.fold(0, usize::saturating_add) > MAX_PATH_BYTES {
            return Err(format!("its paths have more than {MAX_PATH_BYTES} bytes"));
        }
        let mut texts: Vec<String> = Vec::with_capacity(self.rest.len());
        for (shared, rest) in self.shared.iter().zip(&self.rest) {
            let before = texts.last().map(String::as_str).unwrap_or_default();
            let start = before.get(..*shared).ok_or("a path shares more bytes than there are")?;
            texts.push(format!("{start}{rest}"));
        }
        Ok(texts)
    }

    pub(super) fn paths(&self) -> Result<Vec<ImagePath>, String> {
        let parsed = |text: String| ImagePath::parse(&text).map_err(|error| error.to_string());
        self.texts()?.into_iter().map(parsed).collect()
    }
}

pub(super) fn same_length(column: &str, found: usize, expected: usize) -> Result<(), String> {
    if found == expected {
        return Ok(());
    }
    Err(format!("the column `{column}` has {found} entries instead of {expected}"))
}

pub(super) fn in_range(column: &str, positions: &[usize], length: usize) -> Result<(), String> {
    match positions.iter().find(|position| **position >= length) {
        None => Ok(()),
        Some(position) => Err(format!("the column `{column}` has the position {position}, and there are {length}")),
    }
}
