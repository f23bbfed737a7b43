//! The language of a translation, with or without a region: `de`, `pt_BR`, `zh-Hans`.

use serde::Serialize;

/// A language, with or without a region or script. Written as in the names of folders: `pt_BR`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub(crate) struct Locale(String);

impl Locale {
    /// Reads `de`, `pt_BR`, `pt-br`, `sr@latin` and `de_DE.UTF-8`. `None` if it is no language.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let name = text.split('.').next().unwrap_or_default().replace(['-', '@'], "_").to_ascii_lowercase();
        let (language, rest) = name.split_once('_').unwrap_or((&name, ""));
        let is_language = matches!(language.len(), 2 | 3) && language.bytes().all(|byte| byte.is_ascii_lowercase());
        let is_part = |part: &str| matches!(part.len(), 2..=8) && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let is_rest = rest.is_empty() && !name.ends_with('_') || rest.split('_').all(is_part);
        (is_language && is_rest).then_some(Self(name))
    }

    /// Whether a program in this language may use the translation: it is in the same language, and none of its regions
    /// differs. `pt_BR` uses `pt`, and `pt` uses `pt_BR`, but `pt_PT` does not.
    pub(crate) fn uses(&self, translation: &Self) -> bool {
        let (mut own, mut other) = (self.0.split('_'), translation.0.split('_'));
        loop {
            match (own.next(), other.next()) {
                (Some(own), Some(other)) if own != other => return false,
                (Some(_), Some(_)) => {}
                _ => return true,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_is_read_in_each_form_that_folders_and_users_write() {
        for (text, name) in [("de", "de"), ("pt-BR", "pt_br"), ("de_DE.UTF-8", "de_de"), ("sr@latin", "sr_latin")] {
            assert_eq!(Locale::parse(text).unwrap(), Locale(name.to_owned()), "{text}");
        }
        for text in ["", "d", "locale", "de_", "de_x", "de__at", "d1", "C", "*", "de fr", "de/at", "german"] {
            assert_eq!(Locale::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_region_uses_its_language_and_no_other_region() {
        let uses = |own: &str, other: &str| Locale::parse(own).unwrap().uses(&Locale::parse(other).unwrap());
        assert!(uses("pt_BR", "pt") && uses("pt", "pt_BR") && uses("zh_Hans_CN", "zh_Hans"));
        assert!(!uses("pt_BR", "pt_PT") && !uses("de", "den") && !uses("de", "fr"));
    }
}
