//! Tests of `--locale`.

use super::*;

fn with_translations() -> Given {
    let files = [
        "app/locale/de/LC_MESSAGES/app.mo",
        "app/locale/de/formats.py",
        "app/locale/en/LC_MESSAGES/app.mo",
        "app/locale/fr/LC_MESSAGES/app.mo",
        "app/locale/fr/formats.py",
        "app/locale/fr_CA/LC_MESSAGES/app.mo",
        "app/locale/locale.py",
        "app/data/fr/table.csv",
        "babel/locale-data/de.dat",
        "babel/locale-data/en_US_POSIX.dat",
        "babel/locale-data/fr.dat",
        "babel/locale-data/root.dat",
        "babel/other/fr.dat",
    ];
    files.iter().fold(Given::new(), |given, path| given.wheel("w", &[(&format!("{SITE}/{path}"), path.as_bytes())]))
}

/// Returns the translations that go.
fn gone(given: &Given, level: TrimLevel) -> Vec<String> {
    let slim = given.slim(level, &[]);
    let going = slim.tree.removed.iter().filter(|(_, removal)| removal.reason == Removed::Translations);
    going.map(|(path, _)| path.as_str().trim_start_matches(SITE).to_owned()).collect()
}

#[test]
fn only_the_translations_into_other_languages_go_and_only_if_the_user_names_some() {
    let mut given = with_translations();
    assert_eq!(gone(&given, TrimLevel::Reach), [""; 0]);
    given.locales = vec![Locale::parse("de").unwrap()];
    let french = [
        "/app/locale/fr/LC_MESSAGES/app.mo",
        "/app/locale/fr/formats.py",
        "/app/locale/fr_CA/LC_MESSAGES/app.mo",
        "/babel/locale-data/fr.dat",
    ];
    assert_eq!(gone(&given, TrimLevel::Standard), french);
    assert_eq!(gone(&given, TrimLevel::None), [""; 0]);
    given.locales.push(Locale::parse("fr_CA").unwrap());
    assert_eq!(gone(&given, TrimLevel::Standard), [""; 0]);
    given.locales = vec![Locale::parse("de").unwrap()];
    let kept = given.keep("**/locale/fr/**");
    assert_eq!(gone(&kept, TrimLevel::Standard), french[2..]);
}
