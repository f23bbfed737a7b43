//! Names of time zones: the package that contains a zone, and the name of the zone in a value of `TZ`.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde::Deserialize;

static TIME_ZONES: LazyLock<TimeZones> = LazyLock::new(|| super::read(include_str!("time_zones.toml")));

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TimeZones {
    legacy: BTreeSet<String>,
}

/// The folder with the time zones of an image.
pub(crate) const FOLDER: &str = "/usr/share/zoneinfo";

/// Returns the package that contains the missing zone `zone`. `has_zones` is true if the image contains other zones.
/// Returns `None` if the package is not known.
pub(crate) fn package_of(zone: &str, has_zones: bool) -> Option<&'static str> {
    if TIME_ZONES.legacy.contains(zone) { Some("tzdata-legacy") } else { (!has_zones).then_some("tzdata") }
}

/// Returns the name of the zone in a value of `TZ`. Returns `None` if the value contains no name of a zone. For
/// example, the value `CET-1CEST` describes a rule (POSIX, "Other Environment Variables").
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
