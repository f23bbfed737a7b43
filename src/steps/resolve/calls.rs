//! Programs and libraries that well-known distributions use at run time, although no wheel contains them. lath does not
//! add them, but reports them.

use crate::catalog::programs::{self, Call};
use crate::model::hint::Hint;
use crate::model::lock::{LockedDeb, LockedWheel};

/// Returns a hint for each program or library that `wheels` are known to use and that `debs` do not contain.
pub(super) fn unanswered(wheels: &[LockedWheel], debs: &[LockedDeb]) -> Vec<Hint> {
    let brings = |name: &str| wheels.iter().any(|wheel| wheel.name == name);
    // The names of packages that were rebuilt for 64-bit time end with `t64`.
    let is_there = |package: &str| debs.iter().any(|deb| deb.name.trim_end_matches("t64") == package);
    let hint = |call: &Call| {
        let package = call.package()?;
        let is_spared = call.spared_by.iter().any(|other| brings(other));
        let is_open = brings(&call.caller) && !is_there(package) && !is_spared;
        is_open.then(|| Hint::Call {
            caller: call.caller.clone(),
            called: call.called.clone(),
            add: programs::of_package(package),
        })
    };
    programs::calls().iter().filter_map(hint).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::digest::Digest;
    use crate::model::hint::Addition;
    use crate::model::lock::WheelSource;

    fn wheel(name: &str) -> LockedWheel {
        LockedWheel {
            name: name.to_owned(),
            version: "1".to_owned(),
            file_name: format!("{name}-1-py3-none-any.whl"),
            url: String::new(),
            digest: Digest::of(b""),
            size_bytes: None,
            is_requested: true,
            required_by: Vec::new(),
            source: WheelSource::Index,
            built: None,
        }
    }

    fn call(caller: &str, called: &str, add: Addition) -> Hint {
        Hint::Call { caller: caller.to_owned(), called: called.to_owned(), add }
    }

    #[test]
    fn a_call_has_a_hint_unless_another_wheel_contains_the_library() {
        let hints = unanswered(&[wheel("psycopg"), wheel("rich")], &[]);
        assert_eq!(hints, [call("psycopg", "libpq.so.5", Addition::Package("libpq5".to_owned()))]);
        assert!(unanswered(&[wheel("psycopg"), wheel("psycopg-binary")], &[]).is_empty());
    }

    #[test]
    fn a_shell_and_a_program_have_different_additions() {
        let package = Addition::Package("openssh-client".to_owned());
        let expected = [call("ansible-core", "sh", Addition::Shell), call("ansible-core", "ssh", package)];
        assert_eq!(unanswered(&[wheel("ansible-core")], &[]), expected);
    }
}
