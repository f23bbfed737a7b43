//! Programs that need files which maintainer scripts create.

use libtest_mimic::Trial;

use crate::lath;
use crate::needs::Need::{Namespaces, Registries};
use crate::needs::trial;

/// Each test: its name, the arguments of lath, and the check.
const CASES: [(&str, &[&str], &str); 7] = [
    (
        "drivers_of_odbc_are_registered",
        &["pyodbc", "--with", "tdsodbc", "--with", "odbc-postgresql"],
        "python3 -c 'import pyodbc; assert {\"FreeTDS\", \"PostgreSQL Unicode\"} <= set(pyodbc.drivers()), pyodbc.drivers()'",
    ),
    (
        "dot_finds_its_layouts",
        &["graphviz", "--with", "graphviz"],
        "python3 -c 'import graphviz; assert b\"<svg\" in graphviz.Source(\"digraph { a -> b }\").pipe(\"svg\")'",
    ),
    (
        "alternatives_of_a_loop_exist",
        &["wand", "--with", "imagemagick", "--shell"],
        "sh -c 'magick -size 8x6 xc:red /tmp/a.png && identify /tmp/a.png'",
    ),
    (
        "java_trusts_the_certificates",
        &["six", "--with", "default-jre-headless"],
        "keytool -list -cacerts -storepass changeit -alias debian:isrg_root_x1.pem",
    ),
    (
        "gdk_pixbuf_reads_svg",
        &["six", "--with", "librsvg2-common", "--with", "libgdk-pixbuf2.0-bin", "--shell"],
        "sh -c 'echo \"<svg xmlns=\\\"http://www.w3.org/2000/svg\\\" width=\\\"2\\\" height=\\\"2\\\"/>\" > /tmp/a.svg \
         && gdk-pixbuf-csource /tmp/a.svg'",
    ),
    (
        "programs_read_settings",
        &["six", "--with", "python3-gi", "--with", "gsettings-desktop-schemas"],
        "python3 -c 'import sys; sys.path.append(\"/usr/lib/python3/dist-packages\"); from gi.repository import Gio; \
         assert Gio.Settings.new(\"org.gnome.desktop.interface\").get_string(\"font-name\")'",
    ),
    (
        "gsettings_shows_a_default_at_reach",
        &["six", "--trim", "reach", "--with", "libglib2.0-bin", "--with", "libgtk-3-common"],
        "gsettings get org.gtk.Settings.FileChooser sort-column",
    ),
];

pub(crate) fn trials() -> Vec<Trial> {
    let case = |(name, words, check): (&'static str, &[&str], &str)| {
        let words: Vec<String> = words.iter().chain(&["--check", check]).map(|word| (*word).to_owned()).collect();
        trial(name, &[Registries, Namespaces], move || {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            lath::built(name, &words);
        })
    };
    CASES.into_iter().map(case).collect()
}
