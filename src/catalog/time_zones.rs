//! Names of time zones: which package contains a zone that is not in an image, and which values of `TZ` name one.

/// The old names of zones, which Debian and Ubuntu have put into `tzdata-legacy` (since trixie and noble), sorted.
const LEGACY: &str = "\
     Africa/Asmera America/Argentina/ComodRivadavia America/Buenos_Aires America/Catamarca America/Cordoba \
     America/Fort_Wayne America/Godthab America/Indianapolis America/Jujuy America/Knox_IN America/Louisville \
     America/Mendoza America/Rosario Antarctica/South_Pole Asia/Ashkhabad Asia/Calcutta Asia/Choibalsan \
     Asia/Chungking Asia/Dacca Asia/Katmandu Asia/Macao Asia/Rangoon Asia/Saigon Asia/Thimbu Asia/Ujung_Pandang \
     Asia/Ulan_Bator Atlantic/Faeroe Australia/ACT Australia/LHI Australia/NSW Australia/North Australia/Queensland \
     Australia/South Australia/Tasmania Australia/Victoria Australia/West Brazil/Acre Brazil/DeNoronha Brazil/East \
     Brazil/West CET CST6CDT Canada/Atlantic Canada/Central Canada/Eastern Canada/Mountain Canada/Newfoundland \
     Canada/Pacific Canada/Saskatchewan Canada/Yukon Chile/Continental Chile/EasterIsland Cuba EET EST EST5EDT Egypt \
     Eire Europe/Kiev Europe/Uzhgorod Europe/Zaporozhye GB GB-Eire GMT+0 GMT-0 GMT0 Greenwich HST Hongkong Iceland \
     Iran Israel Jamaica Japan Kwajalein Libya MET MST MST7MDT Mexico/BajaNorte Mexico/BajaSur Mexico/General NZ \
     NZ-CHAT Navajo PRC PST8PDT Pacific/Enderbury Pacific/Ponape Pacific/Truk Poland Portugal ROC ROK Singapore \
     Turkey UCT US/Alaska US/Aleutian US/Arizona US/Central US/East-Indiana US/Eastern US/Hawaii US/Indiana-Starke \
     US/Michigan US/Mountain US/Pacific US/Samoa Universal W-SU WET Zulu";

/// The folder of the zones in an image.
pub(crate) const FOLDER: &str = "/usr/share/zoneinfo";

/// The package of all other zones.
const TZDATA: &str = "tzdata";

/// Returns the package that contains `zone`, if `has_zones` says whether the image has any zones. `None` if no package is
/// known to contain it.
pub(crate) fn package_of(zone: &str, has_zones: bool) -> Option<&'static str> {
    match LEGACY.split(' ').any(|legacy| legacy == zone) {
        true => Some("tzdata-legacy"),
        false => (!has_zones).then_some(TZDATA),
    }
}

/// Returns the zone that a value of `TZ` names. `None` if it names none, or describes its own rule like `CET-1CEST` (POSIX,
/// "Other Environment Variables").
pub(crate) fn zone_of(value: &str) -> Option<&str> {
    let zone = value.strip_prefix(':').unwrap_or(value);
    let zone = zone.strip_prefix("/usr/share/zoneinfo/").unwrap_or(zone);
    let is_own_rule = || match zone.strip_prefix('<') {
        Some(rest) => rest.contains('>'),
        None => {
            let rest = zone.trim_start_matches(|letter: char| letter.is_ascii_alphabetic());
            zone.len() - rest.len() >= 3
                && rest.trim_start_matches(['+', '-']).starts_with(|c: char| c.is_ascii_digit())
        }
    };
    (!zone.is_empty() && !zone.starts_with('/') && !is_own_rule()).then_some(zone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_zone_is_in_the_package_of_old_zones_and_every_other_in_the_usual_one() {
        assert!(LEGACY.split(' ').is_sorted_by(|one, other| one < other));
        assert_eq!(package_of("US/Pacific", true), Some("tzdata-legacy"));
        assert_eq!(package_of("Zulu", false), Some("tzdata-legacy"));
        assert_eq!(package_of("Europe/Berlin", false), Some("tzdata"));
        assert_eq!(package_of("Europe/Berlni", true), None);
    }

    #[test]
    fn a_value_of_tz_may_name_a_zone_or_describe_a_rule() {
        let table = [
            ("Europe/Berlin", Some("Europe/Berlin")),
            (":US/Pacific", Some("US/Pacific")),
            ("/usr/share/zoneinfo/UTC", Some("UTC")),
            ("Etc/GMT+3", Some("Etc/GMT+3")),
            ("", None),
            ("UTC0", None),
            ("CET-1CEST,M3.5.0,M10.5.0/3", None),
            ("<+03>-3", None),
            ("/etc/localtime", None),
        ];
        for (value, zone) in table {
            assert_eq!(zone_of(value), zone, "{value}");
        }
    }
}
