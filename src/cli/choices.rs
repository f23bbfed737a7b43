//! Options that have a fixed set of values: their names on the command line.

use clap::ValueEnum;
use clap::builder::PossibleValue;
use serde::{Deserialize, Serialize};

use crate::model::indexes::{IndexStrategy, Keyring};
use crate::model::request::{Bytecode, Entrypoint, Layering, Prereleases, TrimLevel};
use crate::rivals::model::comparison::AptHabits;
use crate::rivals::model::dockerfile::{EngineProgram, Style};

/// When lath uses colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Color {
    Auto,
    Always,
    Never,
}

/// The builder for which a Dockerfile is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Builder {
    /// The builder of the engine, or BuildKit if there is no engine
    Auto,
    Buildkit,
    Classic,
}

/// Implements clap's trait `ValueEnum` for an enum of the model. The enum cannot derive the trait itself, because the
/// model does not depend on clap. The names are the same as the names that serde uses. A variant that is not listed
/// cannot be chosen on the command line.
macro_rules! choices {
    ($type:ty: $($variant:ident $name:literal $($help:literal)?),+) => {
        impl ValueEnum for $type {
            fn value_variants<'a>() -> &'a [Self] {
                &[$(Self::$variant),+]
            }

            fn to_possible_value(&self) -> Option<PossibleValue> {
                #[allow(unreachable_patterns, reason = "only some enums have variants that are not listed")]
                match self {
                    $(Self::$variant => Some(PossibleValue::new($name)$(.help($help))?),)+
                    _ => None,
                }
            }
        }
    };
}

choices!(TrimLevel: None "none", Standard "standard", Reach "reach", Trace "trace");
choices!(Bytecode: None "none", Start "start", All "all");
choices!(Prereleases: Disallow "disallow", Allow "allow", IfNecessary "if-necessary", Explicit "explicit");
choices!(IndexStrategy:
    FirstIndex "first-index" "Only the first index that has the package",
    UnsafeFirstMatch "unsafe-first-match" "The first index that has a version that fits",
    UnsafeBestMatch "unsafe-best-match" "The index with the best version"
);
choices!(Keyring: Disabled "disabled", Subprocess "subprocess");
choices!(Entrypoint: Exec "exec", Shell "shell");
choices!(Layering:
    Auto "auto" "A layer per package and distribution, but small ones share a layer",
    Single "single" "One layer",
    Package "package" "A layer per package and distribution"
);
choices!(EngineProgram: Docker "docker", Podman "podman", Buildah "buildah");
choices!(AptHabits: Official "official", Plain "plain");
// `Style::Fat` is not listed, because the option `--fat` chooses it.
choices!(Style:
    Recipe "recipe" "Two stages, as people write them by hand",
    Lean "lean" "The same with hashes, without caches, and not run by root",
    Uv "uv" "Lean, with uv"
);

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use serde::de::DeserializeOwned;

    use super::*;

    /// Asserts that serde reads and writes every choice with the name that it has on the command line.
    fn assert_same_names<T: ValueEnum + Debug + PartialEq + Serialize + DeserializeOwned>() {
        assert!(T::value_variants().len() > 1);
        for choice in T::value_variants() {
            let name = serde_json::Value::from(choice.to_possible_value().unwrap().get_name());
            assert_eq!(serde_json::to_value(choice).unwrap(), name);
            assert_eq!(&serde_json::from_value::<T>(name).unwrap(), choice);
        }
    }

    #[test]
    fn a_choice_has_the_same_name_for_clap_and_serde() {
        assert_same_names::<Color>();
        assert_same_names::<Builder>();
        assert_same_names::<TrimLevel>();
        assert_same_names::<Bytecode>();
        assert_same_names::<Prereleases>();
        assert_same_names::<IndexStrategy>();
        assert_same_names::<Keyring>();
        assert_same_names::<Entrypoint>();
        assert_same_names::<Layering>();
        assert_same_names::<EngineProgram>();
        assert_same_names::<AptHabits>();
        assert_same_names::<Style>();
    }
}
