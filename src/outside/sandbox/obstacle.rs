//! The setting of this machine that forbids user namespaces.

use fs_err as fs;

use crate::model::hint::MachineHint;

const APPARMOR: &str = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns";
const UNPRIVILEGED: &str = "/proc/sys/kernel/unprivileged_userns_clone";
const MAX: &str = "/proc/sys/user/max_user_namespaces";

/// Returns how to allow user namespaces on this machine.
pub(super) fn hint() -> MachineHint {
    // Some of the files exist only in kernels of certain distributions.
    let value = |path: &str| fs::read_to_string(path).ok()?.trim().parse().ok();
    of_settings(rustix::process::geteuid().is_root(), value)
}

/// Returns the hint for the settings that `value` reads. The kernel applies the first two settings only to users without
/// rights. If no setting forbids user namespaces, the engine that runs this container forbids them.
fn of_settings(is_root: bool, value: impl Fn(&str) -> Option<u64>) -> MachineHint {
    match () {
        () if !is_root && value(APPARMOR) == Some(1) => MachineHint::AppArmor,
        () if !is_root && value(UNPRIVILEGED) == Some(0) => MachineHint::UnprivilegedNamespaces,
        () if value(MAX) == Some(0) => MachineHint::UserNamespaces,
        () => MachineHint::ContainerNamespaces,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hint_names_the_setting_that_forbids_user_namespaces() {
        let hint = |is_root, settings: &[(&str, u64)]| {
            of_settings(is_root, |path| settings.iter().find(|(name, _)| *name == path).map(|(_, value)| *value))
        };
        let apparmor = [(APPARMOR, 1), (UNPRIVILEGED, 1), (MAX, 1000)];
        assert_eq!(hint(false, &apparmor), MachineHint::AppArmor);
        assert_eq!(hint(true, &apparmor), MachineHint::ContainerNamespaces);
        assert_eq!(hint(false, &[(APPARMOR, 0), (UNPRIVILEGED, 0)]), MachineHint::UnprivilegedNamespaces);
        assert_eq!(hint(true, &[(MAX, 0)]), MachineHint::UserNamespaces);
        assert_eq!(hint(false, &[]), MachineHint::ContainerNamespaces);
    }
}
