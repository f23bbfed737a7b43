//! Tests of files that stay because the user named their package, their program, or a program that uses them.

use super::*;

#[test]
fn files_for_apt_and_cron_stay_if_the_image_has_their_programs() {
    let files: &[(&str, &[u8])] = &[("/etc/apt/apt.conf.d/x", b"x"), ("/etc/cron.d/x", b"x"), ("/etc/init.d/x", b"x")];
    let given = || Given::new().deb("d", named("d"), files);
    assert_eq!(removed_files(&given()), ["/etc/apt/apt.conf.d/x", "/etc/cron.d/x", "/etc/init.d/x"]);
    let with_apt = given().deb("apt", named("apt"), &[("/usr/bin/apt-get", b"x")]);
    assert_eq!(removed_files(&with_apt), ["/etc/cron.d/x", "/etc/init.d/x"]);
    let with_cron = given().deb("cron", named("cron"), &[("/usr/sbin/cron", b"x")]);
    assert_eq!(removed_files(&with_cron), ["/etc/apt/apt.conf.d/x", "/etc/init.d/x"]);
}

#[test]
fn programs_of_libc_stay_if_the_user_named_their_package() {
    let files: &[(&str, &[u8])] = &[("/usr/bin/iconv", b"x"), ("/usr/bin/getent", b"x")];
    assert_eq!(removed_files(&Given::new().base("libc-bin", files)), ["/usr/bin/iconv"]);
    assert_eq!(removed_files(&Given::new().deb("libc-bin", named("libc-bin"), files)), [""; 0]);
}

#[test]
fn programs_of_git_stay_if_a_file_of_the_user_names_them() {
    let at = |name: &str| format!("/usr/lib/git-core/{name}");
    let names = ["git-daemon", "git-http-backend", "git-http-push", "git-shell"];
    let paths = names.map(at);
    let files = paths.each_ref().map(|path| (path.as_str(), b"git-daemon git-shell".as_slice()));
    let given = || Given::new().deb("git", named("git"), &files);
    assert_eq!(removed_files(&given()), paths);
    let app: &[(&str, &[u8])] = &[("/app/a.py", b"run(['git', 'http-backend'])"), ("/app/b.sh", b"exec git daemon")];
    for origin in [Origin::Application, Origin::User] {
        assert_eq!(removed_files(&given().files(&origin, app)), [at("git-http-push"), at("git-shell")]);
    }
}

#[test]
fn character_sets_stay_if_the_user_requested_a_program_that_installs_others() {
    let sets = || Given::new().base("libc6", &[("/usr/lib/gconv/EBCDIC-US.so", b"x")]);
    assert_eq!(removed_files(&sets().asked("tool")), ["/usr/lib/gconv/EBCDIC-US.so"]);
    assert_eq!(removed_files(&sets().asked("pip")), [""; 0]);
}
