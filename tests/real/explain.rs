//! `lath explain` for real images: every path of an image is explained, and no other path.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use fs_err as fs;
use libtest_mimic::Trial;
use serde_json::Value;
use testkit::oci;

use crate::lath::{self, command, stdout_of};
use crate::needs::Need::{Namespaces, Registries};
use crate::needs::trials_of;

pub(crate) fn trials() -> Vec<Trial> {
    trials_of![&[Registries, Namespaces];
        every_path_of_an_image_is_explained_up_to_the_request,
        every_path_of_several_kinds_of_images_is_explained,
        the_next_level_saves_about_as_much_as_the_summary_says]
}

/// To save time, `lath explain` is not called for every path, but only for every path after this number of paths.
const STEP: usize = 97;

/// The reasons with which a chain can end.
const LAST: [&str; 8] =
    ["requested", "with", "every-image", "console-script", "command", "every-program", "root", "kept"];

fn explain(folder: &Path, image: &str, words: &[&str]) -> Value {
    let words = [&["explain", image, "--json"], words].concat();
    serde_json::from_str(&stdout_of(command(folder, &words), "")).unwrap()
}

/// Reads all explanations in a file.
fn stored(file: &Path) -> Vec<Value> {
    let file = fs::File::open(file).unwrap();
    let text = zstd::decode_all(file.into_file()).unwrap();
    serde_json::Deserializer::from_slice(&text).into_iter().map(Result::unwrap).collect()
}

/// Returns the paths in a stored explanation, except the root directory.
fn paths(stored: &Value) -> Vec<String> {
    let (columns, mut before) = (&stored["paths"], String::new());
    let shared = columns["shared"].as_array().unwrap().iter();
    let rest = columns["rest"].as_array().unwrap().iter();
    let joined = shared.zip(rest).map(|(shared, rest)| {
        let shared = usize::try_from(shared.as_u64().unwrap()).unwrap();
        before = format!("{}{}", &before[..shared], rest.as_str().unwrap());
        before.clone()
    });
    joined.filter(|path| path != "/").collect()
}

/// Calls `lath explain` for some of the paths in a stored explanation, and checks the answers.
fn ask(folder: &Path, image: &str, stored: &Value) {
    let platform = format!("linux/{}", stored["platform"]["architecture"].as_str().unwrap());
    let answered = |path: &String| explain(folder, image, &["--platform", &platform, path])[0].clone();
    for path in paths(&stored["kept"]).iter().step_by(STEP) {
        let answer = answered(path);
        let chain = answer["chains"][0].as_array().unwrap_or_else(|| panic!("{path}: {answer}"));
        let end = chain.last().unwrap()["because"].as_str().unwrap();
        assert!(LAST.contains(&end), "{path}: {answer}");
    }
    for path in paths(&stored["removed"]).iter().step_by(STEP) {
        assert_eq!(answered(path)["fate"], "removed", "{path}");
    }
}

fn every_path_of_an_image_is_explained_up_to_the_request() {
    let words = ["pre-commit", "--with", "git", "--trim", "reach", "--explanation", "explanation"];
    let built = lath::built("explained", &words);
    let stored = stored(&built.folder.join("explanation"));
    let in_image: BTreeSet<String> = built.checked.platforms[0].files.keys().map(|path| absolute(path)).collect();
    assert_eq!(paths(&stored[0]["kept"]).into_iter().collect::<BTreeSet<_>>(), in_image);
    ask(&built.folder, "image.tar", &stored[0]);

    let receipt = &built.metadata["platforms"][0];
    let table = explain(&built.folder, "image.tar", &[]);
    assert_eq!(table["size_bytes"], receipt["files_bytes"]);
    // A module of virtualenv contains the names of the wheels that virtualenv bundles. In spite of that, the bundled
    // wheels for other Pythons must stay removed.
    let seeds = receipt["removed_bytes_by_reason"]["foreign-seeds"].as_u64();
    assert!(seeds > Some(1_000_000), "{receipt}");
    let removed = receipt["removed_bytes_by_reason"].as_object().unwrap().values();
    assert_eq!(table["removed_bytes"], removed.map(|bytes| bytes.as_u64().unwrap()).sum::<u64>());
    let listed = table["packages"].as_array().unwrap().iter().map(|row| row["size_bytes"].as_u64().unwrap());
    assert_eq!(table["size_bytes"], listed.sum::<u64>());
}

fn absolute(path: &str) -> String {
    format!("/{}", path.trim_start_matches('/'))
}

/// The names and the words of builds. They run in a folder that contains an application and a base image.
const KINDS: [(&str, &str); 6] = [
    // Without `--no-verify`, the proof of the second platform would import hundreds of modules in an emulator.
    ("two", "black --platform linux/amd64 --platform linux/arm64 --trim reach --no-verify"),
    ("whole", "httpie --trim none"),
    ("traced", "httpie --trim trace"),
    ("app", "./app"),
    ("copied", "six --copy app/data:/data --copy app/main.py:/opt/main.py"),
    ("based", "humanize --base oci:base:1"),
];

fn every_path_of_several_kinds_of_images_is_explained() {
    let home = application();
    let said = lath::run(&home, &["build", "six", "--shell", "-t", "base", "-o", "oci:base:1"]);
    lath::succeeded(said);
    for (name, words) in KINDS {
        let words: Vec<&str> = words.split_whitespace().collect();
        let (layout, file) = (format!("oci:{name}-image:1"), format!("{name}.explanation"));
        let words = [&["build"], words.as_slice(), &["-t", name, "-o", &layout, "--explanation", &file]].concat();
        let run = if name == "based" { lath::run_without_base } else { lath::run };
        lath::succeeded(run(&home, &words));
        let stored = stored(&home.join(&file));
        let checked = oci::check(&home.join(format!("{name}-image"))).unwrap();
        assert_eq!(stored.len(), checked.platforms.len(), "{name}");
        for (stored, image) in stored.iter().zip(&checked.platforms) {
            let in_image: BTreeSet<String> = image.files.keys().map(|path| absolute(path)).collect();
            let explained: BTreeSet<String> = paths(&stored["kept"]).into_iter().collect();
            let odd: Vec<&String> = explained.symmetric_difference(&in_image).collect();
            assert_eq!(odd, Vec::<&String>::new(), "{name}");
            ask(&home, &layout, stored);
        }
    }
}

/// Makes a folder `app` with an application. Returns the folder that contains `app`.
fn application() -> PathBuf {
    let home = lath::folder().join("explained-kinds");
    fs::create_dir_all(home.join("app/data")).unwrap();
    for (name, text) in [
        ("requirements.txt", "humanize\n"),
        ("main.py", "import humanize\nprint(humanize.intcomma(1000))\n"),
        ("Procfile", "web: python3 main.py\n"),
        ("data/one.txt", "1\n"),
    ] {
        fs::write(home.join("app").join(name), text).unwrap();
    }
    home
}

fn the_next_level_saves_about_as_much_as_the_summary_says() {
    let small = lath::built("next-level-reach", &["httpie", "--trim", "reach"]);
    let usual = lath::built("next-level-standard", &["httpie"]);
    let bytes = |built: &lath::Built| built.metadata["platforms"][0]["files_bytes"].as_u64().unwrap();
    let next = &usual.metadata["platforms"][0]["next_level"];
    assert_eq!(next["level"], "reach");
    let (said, saved) = (next["removed_bytes"].as_u64().unwrap(), bytes(&usual) - bytes(&small));
    // The two numbers differ a little, because the image of `reach` also contains the names of the removed modules.
    // Python shows them in its errors.
    assert!(said.abs_diff(saved) < 200_000 && saved > 1_000_000, "{said} {saved}");
    assert_eq!(small.metadata["platforms"][0]["next_level"], Value::Null);
}
