//! The configuration of PAM, which the program `pam-auth-update` would write: the files `common-*` in `/etc/pam.d`.
//! Programs such as `su`, `sudo` and `cron` include these files, and refuse every user if they are missing.

use super::{AssembleError, read_text, write_text};
use crate::model::image_path::ImagePath;
use crate::model::tree::{Node, Tree};
use crate::outside::store::Store;

/// The profile of the usual accounts, in `/etc/passwd`. The profiles of other packages are not used, because they are
/// for services that no image runs, such as the sessions of systemd.
const PROFILE: &str = "/usr/share/pam-configs/unix";

/// The kinds of stacks: the end of the file's name, the type of its lines, and the fields of the profile.
const STACKS: [(&str, &str, &str); 5] = [
    ("account", "account", "Account"),
    ("auth", "auth", "Auth"),
    ("password", "password", "Password"),
    ("session", "session", "Session"),
    ("session-noninteractive", "session", "Session"),
];

/// The ID of the group `shadow`, whose members may read `/etc/shadow` (base-passwd).
const SHADOW: u32 = 42;

/// Writes the stacks that are missing, if the image has their templates. Also writes `/etc/shadow`, because PAM refuses
/// an account that has no line in it. No account has a password.
pub(super) fn write(tree: &mut Tree, store: &Store) -> Result<(), AssembleError> {
    let Some(profile) = read_text(tree, PROFILE, store)? else { return Ok(()) };
    for (name, kind, field) in STACKS {
        let path = format!("/etc/pam.d/common-{name}");
        if let (Some(template), None) =
            (read_text(tree, &format!("/usr/share/pam/common-{name}"), store)?, tree.find(&path))
        {
            write_text(tree, &path, &stack(&template, kind, &lines(&profile, field)), store)?;
        }
    }
    if let (Some(passwd), None) = (read_text(tree, "/etc/passwd", store)?, tree.find("/etc/shadow")) {
        let names = passwd.lines().filter_map(|line| line.split(':').next());
        let shadow: String = names.map(|name| format!("{name}:*:::::::\n")).collect();
        write_text(tree, "/etc/shadow", &shadow, store)?;
        let path = ImagePath::parse("/etc/shadow")?;
        if let Some(node) = tree.nodes.get_mut(&path) {
            *node = Node { mode: 0o640, group: Some(SHADOW), ..node.clone() };
        }
    }
    Ok(())
}

/// The lines of a profile for one stack.
struct Lines<'a> {
    /// Whether one of these lines must succeed. Otherwise they are run in addition to such lines.
    is_primary: bool,
    lines: Vec<&'a str>,
}

/// Reads the lines of `field` from a profile (pam-auth-update(8), "PROFILES"). The lines of `Field-Initial` are used if
/// the profile has them, because the profile is the first one of its stack.
fn lines<'a>(profile: &'a str, field: &str) -> Lines<'a> {
    let of = |name: &str| {
        let mut lines = profile.lines().skip_while(move |line| line.trim_end() != name).skip(1).peekable();
        std::iter::from_fn(move || lines.next_if(|line| line.starts_with(char::is_whitespace)).map(str::trim))
            .filter(|line| !line.is_empty())
            .collect::<Vec<&str>>()
    };
    let is_primary = profile.lines().any(|line| line.trim_end() == format!("{field}-Type: Primary"));
    let initial = of(&format!("{field}-Initial:"));
    let lines = if initial.is_empty() { of(&format!("{field}:")) } else { initial };
    Lines { is_primary, lines }
}

/// Returns a stack: the template, with the lines of the profile instead of the words that begin with `$`.
fn stack(template: &str, kind: &str, profile: &Lines<'_>) -> String {
    let mut text = String::new();
    for line in template.lines() {
        let is_primary = line.starts_with('$') && line.ends_with("_primary");
        if !line.starts_with('$') {
            text.push_str(&format!("{line}\n"));
        } else if is_primary == profile.is_primary {
            let count = profile.lines.len();
            for (number, line) in profile.lines.iter().enumerate() {
                // `success=end` skips the remaining lines of the block and the line that refuses.
                let end = format!("={}", if is_primary { count - number } else { count - number - 1 });
                text.push_str(&format!("{kind}\t{}\n", line.replace("=end", &end)));
            }
        } else if is_primary {
            // Without such a line, the template's next line would refuse every user.
            text.push_str(&format!("{kind}\t[default=1]\t\t\tpam_permit.so\n"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outside::store::tests::store;

    /// The profile `unix` of libpam-runtime 1.7.0, without the lines that are not for the first profile of a stack.
    const UNIX: &str = "Name: Unix authentication\nDefault: yes\nPriority: 256\nAuth-Type: Primary\nAuth:\n\
        \t[success=end default=ignore]\tpam_unix.so nullok try_first_pass\nAuth-Initial:\n\
        \t[success=end default=ignore]\tpam_unix.so nullok\nSession-Type: Additional\nSession:\n\
        \trequired\tpam_unix.so\nSession-Initial:\n\trequired\tpam_unix.so\n";

    fn template(name: &str, kind: &str) -> String {
        format!(
            "# the \"Primary\" block\n${name}_primary\n# fallback\n{kind}\trequisite\t\t\tpam_deny.so\n\
             {kind}\trequired\t\t\tpam_permit.so\n${name}_additional\n# end\n"
        )
    }

    #[test]
    fn the_stacks_are_those_of_pam_auth_update() {
        let (_home, store) = store();
        let mut tree = Tree::default();
        write_text(&mut tree, PROFILE, UNIX, &store).unwrap();
        write_text(&mut tree, "/usr/share/pam/common-auth", &template("auth", "auth"), &store).unwrap();
        let session = template("session_nonint", "session");
        write_text(&mut tree, "/usr/share/pam/common-session-noninteractive", &session, &store).unwrap();
        write_text(&mut tree, "/etc/passwd", "root:x:0:0:root:/root:/bin/sh\nwww-data:x:33:33::/:/bin/sh\n", &store)
            .unwrap();
        write(&mut tree, &store).unwrap();
        let text = |path: &str| read_text(&tree, path, &store).unwrap().unwrap();
        insta::assert_snapshot!(text("/etc/pam.d/common-auth"), @r#"
        # the "Primary" block
        auth	[success=1 default=ignore]	pam_unix.so nullok
        # fallback
        auth	requisite			pam_deny.so
        auth	required			pam_permit.so
        # end
        "#);
        insta::assert_snapshot!(text("/etc/pam.d/common-session-noninteractive"), @r#"
        # the "Primary" block
        session	[default=1]			pam_permit.so
        # fallback
        session	requisite			pam_deny.so
        session	required			pam_permit.so
        session	required	pam_unix.so
        # end
        "#);
        assert!(tree.find("/etc/pam.d/common-account").is_none());
        assert_eq!(text("/etc/shadow"), "root:*:::::::\nwww-data:*:::::::\n");
        let shadow = &tree.nodes[&ImagePath::parse("/etc/shadow").unwrap()];
        assert_eq!((shadow.mode, shadow.owner, shadow.group), (0o640, 0, Some(SHADOW)));
    }

    #[test]
    fn files_of_the_image_stay_and_an_image_without_pam_gets_none() {
        let (_home, store) = store();
        let mut tree = Tree::default();
        write_text(&mut tree, "/etc/passwd", "root:x:0:0:root:/root:/bin/sh\n", &store).unwrap();
        write(&mut tree, &store).unwrap();
        assert!(tree.find("/etc/shadow").is_none());
        write_text(&mut tree, PROFILE, UNIX, &store).unwrap();
        write_text(&mut tree, "/usr/share/pam/common-auth", &template("auth", "auth"), &store).unwrap();
        write_text(&mut tree, "/etc/pam.d/common-auth", "own", &store).unwrap();
        write(&mut tree, &store).unwrap();
        assert_eq!(read_text(&tree, "/etc/pam.d/common-auth", &store).unwrap().as_deref(), Some("own"));
    }
}
