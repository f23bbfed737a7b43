//! The texts of hints about base images.

use std::fmt;

use crate::model::hint::BaseHint;

pub(super) fn base(hint: BaseHint, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let text = match hint {
        BaseHint::WithPython => {
            "use a base image that has Python, or one of Debian or Ubuntu, to which lath adds its `python3`"
        }
        BaseHint::OwnPython => "leave out `--python`: the base image decides",
        BaseHint::BuildInstead => "use `lath build --base`: it runs no program of the base image to add files",
        BaseHint::NameUser => "name the user by its number with `--user UID[:GID]`",
        BaseHint::RunAs { user } => {
            return write!(
                f,
                "run the program as the user of this path with `--user {user}`, or install Python in a folder of the \
                 base image that all users can read, such as `/opt`"
            );
        }
    };
    f.write_str(text)
}

#[cfg(test)]
mod tests {
    use crate::model::hint::{BaseHint, Hint};

    #[test]
    fn a_hint_names_the_user_who_can_run_the_python_of_a_base_image() {
        insta::assert_snapshot!(Hint::Base(BaseHint::RunAs { user: 0 }).to_string(), @"run the program as the user of this path with `--user 0`, or install Python in a folder of the base image that all users can read, such as `/opt`");
    }
}
