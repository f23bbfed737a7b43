//! Every program is built, proved and used in the sandbox, without an engine and without root.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use libtest_mimic::Trial;

use crate::lath::{self, Built};
use crate::needs::Need::{Minutes, Namespaces, Registries};
use crate::needs::{own_uid, trial};
use crate::programs::{PROGRAMS, Program};

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials: Vec<Trial> = Vec::new();
    for program in PROGRAMS {
        let name = format!("{}_is_built_proved_and_does_its_work_in_the_sandbox", program.name);
        trials.push(trial(name, &program.needs(&[]), || does_its_work(program)));
    }
    let same = "a_cache_that_knows_nothing_comes_to_the_same_image";
    trials.push(trial(same, &[Registries, Namespaces, Minutes], same_digest));
    trials.push(trial("a_volume_is_worked_on_and_one_to_read_is_left", &[Registries, Namespaces], volumes));
    trials.push(trial("libraries_are_found_by_name_with_ldconfig_and_without", &[Registries, Namespaces], libraries));
    trials.push(trial("debian_packages_are_those_that_the_modules_need", &[Registries, Namespaces], closure));
    trials
}

fn does_its_work(program: &Program) {
    let Built { folder, metadata, .. } = program.built();
    assert_ne!(metadata["platforms"][0]["checks"]["passed"].as_array().unwrap().len(), 0, "{metadata}");
    for job in program.jobs {
        let mut words = vec!["run", "--offline"];
        words.extend(program.words());
        words.push("--");
        words.extend(job.argv);
        let printed = lath::stdout_of(lath::command(&folder, &words), job.input);
        for expected in job.prints {
            assert!(printed.contains(expected), "{:?} does not print {expected:?}:\n{printed}", job.argv);
        }
    }
}

fn same_digest() {
    let program = &PROGRAMS[0];
    let once = program.built();
    let tag = lath::tag(program.name);
    let mut words = vec!["build", "-t", &tag, "-o", "again.tar", "--cache-dir", "other-cache", "--jobs", "1"];
    words.extend(program.words());
    let said = lath::stdout(&lath::command(&once.folder, &words), lath::run(&once.folder, &words));
    assert_eq!(said, format!("again.tar@{}\n", once.checked.digest));
}

/// In an image, a small script replaces `ldconfig`. With this script, ctypes must find the same libraries as with the
/// real program.
fn libraries() {
    let home = tempfile::tempdir().unwrap();
    let find = "import ctypes.util, os; find = ctypes.util.find_library; \
                print([find(name) for name in ('c', 'ssl', 'z', 'no-such')], os.path.getsize('/sbin/ldconfig') > 100_000)";
    for (keep, is_program) in [(&[][..], "False"), (&["--keep", "**/ldconfig"], "True")] {
        let words = [&["run", "six"], keep, &["--", "python3", "-c", find]].concat();
        let found = lath::succeeded(lath::run(home.path(), &words));
        assert_eq!(found, format!("['libc.so.6', 'libssl.so.3', 'libz.so.1', None] {is_program}\n"));
    }
}

fn volumes() {
    let built = PROGRAMS.iter().find(|program| program.name == "black").unwrap().built();
    let work = built.folder.join("work");
    fs_err::create_dir_all(&work).unwrap();
    let (file, untidy) = (work.join("x.py"), "x  =  1\n");
    // If root runs lath, the program runs as the user of the image, like in an engine. So all users must be allowed to
    // write to the folder.
    let open_to = |others: u32| {
        let mode = |path: &Path, mode: u32| fs_err::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        mode(&work, 0o755 | others);
        mode(&file, 0o644 | others);
    };
    let black = |volume: &str| {
        fs_err::write(&file, untidy).unwrap();
        open_to(0o022);
        let words = ["run", "--offline", "--volume", volume, "--workdir", "/src", "black", "--", "black", "-q", "x.py"];
        let ended = lath::command(&built.folder, &words).output().unwrap();
        (ended.status.code(), fs_err::read_to_string(&file).unwrap())
    };
    assert_eq!(black("work:/src"), (Some(0), "x = 1\n".to_owned()));
    if own_uid() == Some(0) {
        open_to(0);
        let words =
            ["run", "--offline", "--volume", "work:/src", "black", "--", "python3", "-c", "open('/src/x.py', 'a')"];
        let ended = lath::command(&built.folder, &words).output().unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        assert!(!ended.status.success() && said.contains("PermissionError"), "{said}");
        assert!(said.contains("warning: the program cannot write to `") && said.contains("work`: "), "{said}");
    }
    let (code, left) = black("work:/src:ro");
    assert_ne!(code, Some(0));
    assert_eq!(left, untidy);
    // A script in a volume can be started by its path, even if its first line contains `env`.
    fs_err::write(&file, "#!/usr/bin/env python3\nimport black; print('mounted')\n").unwrap();
    fs_err::set_permissions(&file, Permissions::from_mode(0o755)).unwrap();
    for script in ["/src/x.py", "./x.py"] {
        let words = ["run", "--offline", "--volume", "work:/src:ro", "--workdir", "/src", "black", "--", script];
        assert_eq!(lath::succeeded(lath::command(&built.folder, &words).output().unwrap()), "mounted\n");
    }
    // If a volume is mounted at the home directory, it hides the files that the image has there, like in an engine.
    // lath creates nothing in the folder of the volume.
    fs_err::write(built.folder.join("large"), vec![b'x'; 2 << 20]).unwrap();
    let words = ["run", "--offline", "--copy", "large:/home/app/own/large", "--volume", "work:/home/app", "black"];
    let list = ["--", "python3", "-c", "import os; print(os.listdir('/home/app'))"];
    let seen = lath::succeeded(lath::command(&built.folder, &[&words[..], &list].concat()).output().unwrap());
    assert_eq!(seen, "['x.py']\n");
    assert_eq!(fs_err::read_dir(&work).unwrap().count(), 1);
}

/// The wheel of psycopg2 contains most of its libraries, but it also needs the zlib of the system.
fn closure() {
    let built = lath::built("psycopg2", &["psycopg2-binary"]);
    let platform = &built.metadata["platforms"][0];
    let origins: Vec<&String> = platform["bytes_by_origin"].as_object().unwrap().keys().collect();
    for expected in ["libc6", "libpython3.13-stdlib", "libssl3t64", "python3.13-minimal"] {
        assert!(origins.contains(&&format!("deb {expected}")), "{expected} of {origins:?}");
    }
    for unwanted in ["debconf", "openssl", "perl-base"] {
        assert!(!origins.contains(&&format!("deb {unwanted}")), "{unwanted} of {origins:?}");
    }
    assert_eq!(platform["hints"], serde_json::json!([]));
}
