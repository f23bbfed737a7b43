//! Tests of `--locale`.

use super::*;

/// Returns an image with these files of a distribution in `site-packages`.
fn with(files: &[&str]) -> Given {
    files.iter().fold(Given::new(), |given, path| given.wheel("w", &[(&format!("{SITE}/{path}"), path.as_bytes())]))
}

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
        "babel/locale-data/en_001.dat",
        "babel/locale-data/en_US_POSIX.dat",
        "babel/locale-data/fr.dat",
        "babel/locale-data/root.dat",
        "babel/other/fr.dat",
    ];
    with(&files)
}

/// Returns the translations that trim removes.
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

#[test]
fn a_language_keeps_all_of_its_regions_and_scripts() {
    let mut given = with(&[
        "babel/locale-data/en_001.dat",
        "babel/locale-data/es_419.dat",
        "babel/locale-data/no.dat",
        "babel/locale-data/pt.dat",
        "babel/locale-data/pt_PT.dat",
        "babel/locale-data/zh_Hant.dat",
    ]);
    for (wanted, others) in [
        ("en_GB", "es_419 no pt pt_PT zh_Hant"),
        ("es_MX", "no pt pt_PT zh_Hant"),
        ("nb", "es_419 pt pt_PT zh_Hant"),
        ("nn_NO", "es_419 pt pt_PT zh_Hant"),
        ("pt_BR", "es_419 no zh_Hant"),
        ("zh_TW", "es_419 no pt pt_PT"),
    ] {
        given.locales = vec![Locale::parse(wanted).unwrap()];
        let expected: Vec<String> = others.split(' ').map(|name| format!("/babel/locale-data/{name}.dat")).collect();
        assert_eq!(gone(&given, TrimLevel::Standard), expected, "{wanted}");
    }
}

#[test]
fn a_package_with_a_short_name_is_no_language() {
    let mut given = with(&[
        "foo/LC_MESSAGES/foo.mo",
        "foo/core.py",
        "w/api/LC_MESSAGES/api.mo",
        "w/api/__init__.py",
        "w/locale/fr/LC_MESSAGES/w.mo",
        "w/locale/fr/__init__.py",
    ]);
    given.locales = vec![Locale::parse("de").unwrap()];
    assert_eq!(gone(&given, TrimLevel::Standard), ["/w/locale/fr/LC_MESSAGES/w.mo", "/w/locale/fr/__init__.py"]);
}
