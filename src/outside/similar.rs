//! Finds known names that are similar to a name that does not exist.

/// The maximum number of suggested names.
const SUGGESTED: usize = 3;

/// Returns the `known` names that are most similar to `name`, the best first.
pub(crate) fn similar<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let allowed = (name.len() / 3).clamp(1, 4);
    let mut similar: Vec<(usize, &str)> = known
        .into_iter()
        .filter(|other| *other != name && other.len().abs_diff(name.len()) <= allowed)
        // Two swapped letters count as one mistake.
        .map(|other| (strsim::osa_distance(name, other), other))
        .filter(|(distance, _)| *distance <= allowed)
        .collect();
    similar.sort_unstable();
    similar.dedup();
    similar.into_iter().take(SUGGESTED).map(|(_, other)| other).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_similar_names_are_suggested_and_no_others() {
        let known = ["git", "gitlint", "pre-commit", "pre-commit-hooks", "httpie", "get"];
        let table: [(&str, &[&str]); 5] = [
            ("pre-comit", &["pre-commit"]),
            ("gti", &["git"]),
            ("gitt", &["git"]),
            ("git", &["get"]),
            ("postgresql", &[]),
        ];
        for (name, expected) in table {
            assert_eq!(similar(name, known), expected, "{name}");
        }
        assert_eq!(similar("aa", ["ab", "ac", "ab", "ad", "ae"]), ["ab", "ac", "ad"]);
    }
}
