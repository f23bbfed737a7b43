use super::*;

const NOTHING: System<'_> = System { exists: &|_| false, has_account: &|_| false, templates: "" };

/// Returns the commands of a `postinst` on a system without files.
pub(in crate::steps::assemble) fn commands(script: &str) -> Vec<Command> {
    super::commands(script, &["configure", ""], &NOTHING).unwrap()
}

/// Returns the commands as text. `?` is an unknown word, and `maybe` marks an uncertain command.
fn text(script: &str, system: &System<'_>) -> Vec<String> {
    let Some(commands) = super::commands(script, &["configure", ""], system) else {
        return vec!["not understood".to_owned()];
    };
    let word = |word: &Option<String>| word.clone().unwrap_or_else(|| "?".to_owned());
    let line = |command: &Command| {
        let words: Vec<String> = command.words.iter().map(word).collect();
        let written = if command.is_written { " > file" } else { "" };
        format!("{}{}{written}", if command.is_certain { "" } else { "maybe " }, words.join(" "))
    };
    commands.iter().filter(|command| !matches!(command.program(), "[" | "test" | "true")).map(line).collect()
}

#[test]
fn loops_variables_and_functions_are_expanded() {
    // Shortened scripts of imagemagick-7.q16, openjdk-21-jre-headless and redis-tools.
    let imagemagick = "for prog in compare magick-script; do\n\
        \tif dpkg --compare-versions \"$2\" lt-nl \"8:6.9.2.10+dfsg-3\"; then\n\t    update-alternatives --remove-all $prog\n\tfi\n\
        \tupdate-alternatives --install /usr/bin/$prog \\\n\t    $prog /usr/bin/$prog-im7.q16 10000\ndone\n";
    assert_eq!(
        text(imagemagick, &NOTHING)[1..],
        [
            "update-alternatives --install /usr/bin/compare compare /usr/bin/compare-im7.q16 10000",
            "dpkg --compare-versions  lt-nl 8:6.9.2.10+dfsg-3",
            "update-alternatives --install /usr/bin/magick-script magick-script /usr/bin/magick-script-im7.q16 10000",
        ]
    );
    let java = "multiarch=x86_64-linux-gnu\npriority=2111\nbasedir=/usr/lib/jvm/java-21\njre_tools='java keytool'\n\
        case \"$1\" in\nconfigure)\nif [ -z \"$2\" ]; then\n update_alternatives=y\nfi\n\
        if [ \"$update_alternatives\" = y ]; then\n\
        if [ -n \"$multiarch\" ] && [ \"$DPKG_MAINTSCRIPT_ARCH\" != $(dpkg --print-architecture) ]; then\n\
        \tpriority=$(expr $priority - 1)\nfi\nfor i in $jre_tools; do\n\tunset slave1\n\
        \tif [ -e $basedir/man1/$i.1.gz ]; then\n\t    slave1=\"--slave \\\n /usr/share/man/man1/$i.1.gz \\\n $i.1.gz $basedir/man1/$i.1.gz\"\n\tfi\n\
        \tupdate-alternatives --install /usr/bin/$i $i $basedir/bin/$i $priority $slave1\ndone\nfi\n;;\nesac\nexit 0\nnever\n";
    let java_has_a_manual = System { exists: &|path| path.ends_with("/java.1.gz"), ..NOTHING };
    assert_eq!(
        text(java, &java_has_a_manual),
        [
            "update-alternatives --install /usr/bin/java java /usr/lib/jvm/java-21/bin/java 2111 \
             --slave /usr/share/man/man1/java.1.gz java.1.gz /usr/lib/jvm/java-21/man1/java.1.gz",
            "update-alternatives --install /usr/bin/keytool keytool /usr/lib/jvm/java-21/bin/keytool 2111",
        ]
    );
    let redis = "USER=\"redis\"\nSetup_dir () {\n\tDIR=\"${1}\"\n\tMODE=\"${2}\"\n\tmkdir -p ${DIR}\n\
        \tif ! dpkg-statoverride --list ${DIR} >/dev/null 2>&1\n\tthen\n\t\tchown ${USER}:${3} ${DIR}\n\t\tchmod ${MODE} ${DIR}\n\tfi\n}\n\
        if [ \"$1\" = \"configure\" ]\nthen\n\tSetup_dir /var/log/redis 2750 adm\nfi\n";
    assert_eq!(
        text(redis, &NOTHING),
        [
            "mkdir -p /var/log/redis",
            "dpkg-statoverride --list /var/log/redis",
            "chown redis:adm /var/log/redis",
            "chmod 2750 /var/log/redis"
        ]
    );
}

#[test]
fn a_condition_that_is_unknown_makes_its_branches_uncertain() {
    let table: [(&str, &[&str]); 12] = [
        ("if x-check; then a; else b; fi", &["x-check", "a"]),
        ("if grep -q x /etc/y; then a; else b; fi; c", &["grep -q x /etc/y", "maybe a", "maybe b", "c"]),
        ("if [ \"$1\" = triggered ]; then a; exit 0; fi; b", &["b"]),
        ("[ \"$1\" = configure ] || exit 0; a; exit 0; b", &["a"]),
        ("grep x y || exit 0; a", &["grep x y", "a"]),
        ("case $1 in abort-*) a ;; configure|x) b ;; *) c ;; esac", &["b"]),
        ("case $(uname) in Linux) a ;; *) b ;; esac", &["maybe a", "maybe b"]),
        ("cat <<EOF > /etc/x\nadduser y\nEOF\na", &["cat > file", "a"]),
        ("getent group x > /dev/null 2>&1 || addgroup x", &["getent group x", "addgroup x"]),
        ("p=$(a); b $p \"$p\" c; echo x >&2", &["b ? ? c", "echo x"]),
        ("for f in /etc/*.conf; do a $f; done", &["maybe a ?"]),
        ("ls | while read x; do a $x; done", &["ls", "maybe a ?"]),
    ];
    for (script, expected) in table {
        assert_eq!(text(script, &NOTHING), expected, "{script}");
    }
}

#[test]
fn the_result_of_a_function_decides_a_condition() {
    // The shortened script of fontconfig-config.
    let script = "is_initial() {\n    if [ \"$1\" = configure ] && [ -z \"$2\" ]; then\n        return 0\n    fi\n\
        \x20   return 1\n}\nif is_initial \"$@\"; then a; else b; fi\n";
    assert_eq!(text(script, &NOTHING), ["a"]);
    let upgrade = script.replace("configure", "upgrade");
    assert_eq!(text(&upgrade, &NOTHING), ["b"]);
    let doubtful = script.replace("[ -z \"$2\" ]", "grep x y");
    assert_eq!(text(&doubtful, &NOTHING), ["grep x y", "maybe a", "maybe b"]);
}

#[test]
fn a_file_that_exists_decides_a_condition() {
    let system = System { exists: &|path| path == "/usr/bin/x", ..NOTHING };
    assert_eq!(text("if which x >/dev/null; then x --cache; fi", &system), ["which x", "x --cache"]);
    assert_eq!(text("if which y >/dev/null; then y --cache; fi", &system), ["which y"]);
    assert_eq!(text("[ ! -x /usr/bin/x ] || x", &system), ["x"]);
    assert_eq!(text("test -e /usr/bin/x -a -d /usr/bin/y && x", &system), [""; 0]);
}

#[test]
fn debconf_answers_with_its_defaults() {
    // From fontconfig-config.
    let templates =
        "Template: a/other\nDefault: x\n\nTemplate: fontconfig/hinting_style\nType: select\nDefault: hintslight\n";
    let system = System { templates, ..NOTHING };
    let script = "db_get fontconfig/hinting_style\nstyle=\"$RET\"\ncase \"$style\" in\n\"hintnone\") a ;;\n\"hintslight\") b ;;\nesac\n";
    assert_eq!(text(script, &system), ["b"]);
    assert_eq!(text(script, &NOTHING), ["maybe a", "maybe b"]);
}

#[test]
fn a_script_that_is_hostile_or_no_shell_script_is_not_understood() {
    let deep = "(".repeat(100_000);
    let nested = "if true; then ".repeat(1000);
    let endless = "f() { f; }; f";
    let many = format!("{}a{}", "for x in 1 2 3 4 5 6 7 8 9; do ".repeat(20), "; done".repeat(20));
    let doubled = format!("x=aaaaaaaa\n{}echo $x $x $x", "x=$x$x$x$x\n".repeat(50));
    for script in ["#!/usr/bin/perl\nuse strict;\n", "echo 'open", "if a; then", &deep, &nested, endless, &many] {
        assert_eq!(text(script, &NOTHING), ["not understood"], "{}", script.chars().take(40).collect::<String>());
    }
    assert_eq!(text(&doubled, &NOTHING), ["echo ? ? ?"]);
}
