//! The language of a translation, with or without a region: `de`, `pt_BR`, `zh-Hans`.

use serde::Serialize;

/// A language, with or without a region or script. The text is in lower case, and its parts are separated by `_`:
/// `pt_br`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub(crate) struct Locale(String);

impl Locale {
    /// Reads a text such as `de`, `pt_BR`, `pt-br`, `sr@latin` or `de_DE.UTF-8`. `None` if the text is no language.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let name = text.split('.').next().unwrap_or_default().replace(['-', '@'], "_").to_ascii_lowercase();
        let (language, rest) = name.split_once('_').unwrap_or((&name, ""));
        let is_language = matches!(language.len(), 2 | 3) && language.bytes().all(|byte| byte.is_ascii_lowercase());
        let is_part = |part: &str| matches!(part.len(), 2..=8) && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let is_rest = rest.is_empty() && !name.ends_with('_') || rest.split('_').all(is_part);
        (is_language && is_rest).then_some(Self(name))
    }

    /// Returns whether both values mean the same language. Regions and scripts do not count, because a program for one
    /// region may need the data of another: Babel derives `es_MX` from `es_419`, and `pt_AO` from `pt_PT`.
    pub(crate) fn is_same_language(&self, other: &Self) -> bool {
        self.language() == other.language()
    }

    pub(crate) fn is_english(&self) -> bool {
        self.language() == "en"
    }

    /// Returns the language without regions and scripts. For both forms of Norwegian, `nb` and `nn`, this is `no`,
    /// because Babel derives their data from `no`.
    fn language(&self) -> &str {
        match self.0.split('_').next().unwrap_or_default() {
            "nb" | "nn" => "no",
            language => language,
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
    fn all_regions_and_scripts_of_a_language_are_the_same_language() {
        let is_same =
            |one: &str, other: &str| Locale::parse(one).unwrap().is_same_language(&Locale::parse(other).unwrap());
        for (one, other) in [
            ("pt_BR", "pt"),
            ("pt", "pt-br"),
            ("pt_AO", "pt_PT"),
            ("es_MX", "es_419"),
            ("zh_TW", "zh_Hant"),
            ("nb_NO", "no"),
            ("nn", "nb"),
        ] {
            assert!(is_same(one, other) && is_same(other, one), "{one} {other}");
        }
        for (one, other) in [("de", "den"), ("de", "fr"), ("no", "nl"), ("pt_BR", "br")] {
            assert!(!is_same(one, other) && !is_same(other, one), "{one} {other}");
        }
        let is_english = |name: &str| Locale::parse(name).unwrap().is_english();
        assert!(is_english("en") && is_english("en_001") && is_english("en-GB"));
        assert!(!is_english("enm") && !is_english("de"));
    }
}
