//! The texts of hints about this machine.

use crate::model::hint::MachineHint;

pub(super) fn machine(hint: MachineHint) -> &'static str {
    match hint {
        MachineHint::AddressSpace => "raise the limit with `ulimit -v unlimited`",
        MachineHint::DataMemory => "raise the limit with `ulimit -d unlimited`",
        MachineHint::Threads => {
            "raise the limit on processes and threads (`ulimit -u`, `TasksMax=` of systemd, `--pids-limit` of an \
             engine), or the limit on memory (`ulimit -v`)"
        }
        MachineHint::OrdinaryUser => {
            "run lath as an ordinary user, or as root of a namespace that has more users; or build with `--no-verify \
             --bytecode none` and try the image in an engine"
        }
        MachineHint::UserNamespaces => {
            "the sandbox needs user namespaces: enable them (`sysctl user.max_user_namespaces`), or build with \
             `--no-verify --bytecode none` and try the image in an engine"
        }
        MachineHint::AppArmor => {
            "AppArmor on this machine forbids the user namespaces that the sandbox needs: allow them with \
             `sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`, or run lath with `sudo`"
        }
        MachineHint::UnprivilegedNamespaces => {
            "this machine forbids the user namespaces that the sandbox needs: allow them with \
             `sudo sysctl -w kernel.unprivileged_userns_clone=1`, or run lath with `sudo`"
        }
        MachineHint::ContainerNamespaces => {
            "the engine that runs this container seems to forbid the user namespaces that the sandbox needs: use a seccomp \
             profile that allows `unshare` and `mount` (for Docker `--security-opt seccomp=unconfined --security-opt \
             apparmor=unconfined --security-opt systempaths=unconfined`, but then Docker filters no system calls of this \
             container, which is a risk); or build with `--no-verify --bytecode none` and try the image \
             in an engine"
        }
        MachineHint::WritableCache => "use a directory that you can write to: `--cache-dir DIR`",
        MachineHint::EmptyCache => {
            "empty the cache with `lath cache prune --all`, or use another with `--cache-dir DIR`"
        }
        MachineHint::InstallEmulator => {
            "install the static emulator of qemu's user mode (Debian's package `qemu-user-static`), or build on a machine \
             of that platform"
        }
        MachineHint::RunAgain => "run the same command again: lath then fetches the file again",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_about_this_machine_in_words() {
        let hints = [
            MachineHint::AddressSpace,
            MachineHint::DataMemory,
            MachineHint::Threads,
            MachineHint::OrdinaryUser,
            MachineHint::UserNamespaces,
            MachineHint::AppArmor,
            MachineHint::UnprivilegedNamespaces,
            MachineHint::ContainerNamespaces,
            MachineHint::WritableCache,
            MachineHint::EmptyCache,
            MachineHint::InstallEmulator,
            MachineHint::RunAgain,
        ];
        insta::assert_snapshot!(hints.map(machine).join("\n"), @"
        raise the limit with `ulimit -v unlimited`
        raise the limit with `ulimit -d unlimited`
        raise the limit on processes and threads (`ulimit -u`, `TasksMax=` of systemd, `--pids-limit` of an engine), or the limit on memory (`ulimit -v`)
        run lath as an ordinary user, or as root of a namespace that has more users; or build with `--no-verify --bytecode none` and try the image in an engine
        the sandbox needs user namespaces: enable them (`sysctl user.max_user_namespaces`), or build with `--no-verify --bytecode none` and try the image in an engine
        AppArmor on this machine forbids the user namespaces that the sandbox needs: allow them with `sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`, or run lath with `sudo`
        this machine forbids the user namespaces that the sandbox needs: allow them with `sudo sysctl -w kernel.unprivileged_userns_clone=1`, or run lath with `sudo`
        the engine that runs this container seems to forbid the user namespaces that the sandbox needs: use a seccomp profile that allows `unshare` and `mount` (for Docker `--security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt systempaths=unconfined`, but then Docker filters no system calls of this container, which is a risk); or build with `--no-verify --bytecode none` and try the image in an engine
        use a directory that you can write to: `--cache-dir DIR`
        empty the cache with `lath cache prune --all`, or use another with `--cache-dir DIR`
        install the static emulator of qemu's user mode (Debian's package `qemu-user-static`), or build on a machine of that platform
        run the same command again: lath then fetches the file again
        ");
    }
}
