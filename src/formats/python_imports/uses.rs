//! The names in a Python file on which conditional imports of the standard library depend.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use crate::model::python_file::{Import, USES};

/// The names of [`USES`], by the last part of each name.
static BY_LAST_PART: LazyLock<BTreeMap<&str, Vec<&str>>> = LazyLock::new(|| {
    let mut names: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for name in USES {
        names.entry(name.rsplit('.').next().unwrap_or(name)).or_default().push(name);
    }
    names
});

/// The names of [`USES`] whose last part occurs in a file.
#[derive(Default)]
pub(super) struct Uses(BTreeSet<&'static str>);

impl Uses {
    /// Adds a name or a text of the file.
    pub(super) fn add(&mut self, name: &str) {
        self.0.extend(BY_LAST_PART.get(name).into_iter().flatten());
    }

    /// Returns the names that the file uses. A name that begins with a module counts only if the file imports this
    /// module.
    pub(super) fn of(&self, imports: &[Import]) -> BTreeSet<String> {
        let imported = || imports.iter().flat_map(|import| &import.names).map(|one| one.name.as_str());
        let has = |module: &str| {
            let last = module.rsplit('.').next().unwrap_or(module);
            imports.iter().any(|import| import.module == module) || imported().any(|name| name == last)
        };
        let in_imports = USES.into_iter().filter(|name| imported().any(|imported| is_last_part(name, imported)));
        let uses = self.0.iter().copied().chain(in_imports);
        uses.filter(|name| name.rsplit_once('.').is_none_or(|(module, _)| has(module))).map(str::to_owned).collect()
    }
}

fn is_last_part(name: &str, last: &str) -> bool {
    name.rsplit('.').next() == Some(last)
}

#[cfg(test)]
mod tests {
    use crate::formats::python_imports::parse;

    fn uses(text: &str) -> Vec<String> {
        parse(text.as_bytes()).unwrap().uses.into_iter().collect()
    }

    #[test]
    fn a_name_is_used_in_every_form_that_leads_to_its_object() {
        for text in [
            "import hashlib\nhashlib.scrypt(b'')",
            "from hashlib import scrypt",
            "import hashlib\ngetattr(hashlib, 'scrypt')",
            "import x\nx.f(scrypt=1)",
            "import x\nscrypt",
            "PROGRAM = 'import hashlib; hashlib.scrypt(b\"\")'",
        ] {
            assert_eq!(uses(text), ["scrypt"], "{text}");
        }
        assert_eq!(uses("import asyncio\nasyncio.open_connection(host, 1, ssl=True)"), ["ssl"]);
        assert_eq!(uses("import x\nx.SyncManager(serializer='xmlrpclib')"), ["xmlrpclib"]);
        assert_eq!(uses("from concurrent.futures import *"), ["concurrent.futures.*"]);
        assert_eq!(uses("import hashlib # scrypt\n'uses scrypt'"), [""; 0]);
    }

    #[test]
    fn a_name_with_a_module_needs_the_module_in_the_file() {
        for text in
            ["import hashlib\nhashlib.new(x)", "from .compat import hashlib as h\nh.new(x)", "from hashlib import new"]
        {
            assert_eq!(uses(text), ["hashlib.new"], "{text}");
        }
        assert_eq!(uses("import hmac\nx.new()"), ["hmac.new"]);
        for text in ["import hashlib\nhashlib.sha256(b'')", "self.new()", "from x import *"] {
            assert_eq!(uses(text), [""; 0], "{text}");
        }
    }
}
