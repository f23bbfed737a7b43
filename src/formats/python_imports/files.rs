//! Texts that may be paths of data files. Examples are `"data/words.txt"`, `os.path.join(here, "data", "words.txt")`,
//! `here / "data" / "words.txt"` and `files("package").joinpath("words.txt")`.

use std::borrow::Cow;

use ruff_python_ast::{self as ast, Expr, Operator};

use super::literal;

/// Functions that read or find a file of a package. The first argument is the package, and the others are the path.
const OF_PACKAGE: [&str; 9] = [
    "get_data",
    "open_binary",
    "open_text",
    "path",
    "read_binary",
    "read_text",
    "resource_filename",
    "resource_stream",
    "resource_string",
];
/// Functions and methods that join the parts of a path.
const JOINING: [&str; 4] = ["Path", "PurePath", "join", "joinpath"];
/// A text that is longer than this is not a path.
const MOST_CHARACTERS: usize = 160;
/// The maximum number of nested operators and calls in the expression of a path.
const MOST_LEVELS: u8 = 8;

/// Returns the path in a text. It may be relative to a folder that the file computes. `None` if the last part of the
/// text cannot be the name of a data file, because it has no ending.
pub(super) fn path_in(text: &str) -> Option<&str> {
    let is_of_path = |c: char| c.is_ascii_alphanumeric() || "._-+@/".contains(c);
    if text.len() > MOST_CHARACTERS || !text.chars().all(is_of_path) {
        return None;
    }
    let mut path = text;
    while let Some((first, rest)) = path.split_once('/')
        && matches!(first, "" | "." | "..")
    {
        path = rest;
    }
    let mut parts = path.split('/');
    let name = parts.next_back()?;
    let has_ending = name.rsplit_once('.').is_some_and(|(begin, ending)| {
        !begin.is_empty() && ending.starts_with(|first: char| first.is_ascii_alphabetic())
    });
    let is_plain = parts.all(|part| !matches!(part, "" | "." | ".."));
    (has_ending && is_plain && !name.ends_with(".py")).then_some(path)
}

/// Returns the literal parts at the end of a path, joined by slashes. `None` if there are fewer than two such parts.
pub(super) fn joined_path(expr: &Expr) -> Option<String> {
    let parts = parts(expr, MOST_LEVELS);
    (parts.len() > 1).then(|| parts.join("/"))
}

/// Returns the literal parts at the end of a path. The list is empty if the last part of the path is computed.
fn parts(expr: &Expr, levels: u8) -> Vec<String> {
    let Some(levels) = levels.checked_sub(1) else { return Vec::new() };
    match expr {
        Expr::BinOp(operation) if operation.op == Operator::Div => {
            joined([&*operation.left, &*operation.right], levels)
        }
        Expr::Call(call) => parts_of_call(call, levels),
        other => literal(other).map(Cow::into_owned).into_iter().collect(),
    }
}

fn joined<'a>(exprs: impl IntoIterator<Item = &'a Expr>, levels: u8) -> Vec<String> {
    let mut all = Vec::new();
    for expr in exprs {
        let own = parts(expr, levels);
        // The parts before a computed part are dropped, because it is not known to which folder the computed part
        // leads.
        if own.is_empty() {
            all.clear();
        }
        all.extend(own);
    }
    all
}

fn parts_of_call(call: &ast::ExprCall, levels: u8) -> Vec<String> {
    let (function, of) = match &*call.func {
        Expr::Name(name) => (name.id.as_str(), None),
        Expr::Attribute(attribute) => (attribute.attr.as_str(), Some(&*attribute.value)),
        _ => return Vec::new(),
    };
    let arguments = &call.arguments.args;
    let package = || arguments.first().and_then(literal).map(|package| package.replace('.', "/"));
    match function {
        "files" => package().into_iter().collect(),
        "joinpath" => joined(of.into_iter().chain(arguments), levels),
        _ if JOINING.contains(&function) => joined(arguments, levels),
        _ if OF_PACKAGE.contains(&function) => {
            let path = joined(arguments.iter().skip(1), levels);
            if path.is_empty() { path } else { package().into_iter().chain(path).collect() }
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use crate::formats::python_imports::parse;

    /// Returns the paths in a file. Texts that may also be names of modules are marked.
    fn paths(text: &str) -> Vec<String> {
        let file = parse(format!("import x\ny = {text}\n").as_bytes()).unwrap();
        file.files.into_iter().chain(file.texts.into_iter().map(|text| format!("or a module: {text}"))).collect()
    }

    #[test]
    fn paths_are_found_in_texts_and_in_expressions_that_join_texts() {
        for (text, expected) in [
            ("'data/words.txt'", "data/words.txt"),
            ("'../data/2.5-words.txt'", "data/2.5-words.txt"),
            ("HERE + '/data/words.txt'", "data/words.txt"),
            ("os.path.join(os.path.dirname(__file__), 'data', 'words.txt')", "data/words.txt"),
            ("join(HERE, 'data/en', 'words.txt')", "data/en/words.txt"),
            ("Path(__file__).parent / 'data' / 'words.txt'", "data/words.txt"),
            ("Path(HERE, 'data').joinpath('en', 'words.txt').open()", "data/en/words.txt"),
            ("files('a.b').joinpath('words.txt')", "a/b/words.txt"),
            ("importlib.resources.files('a.b') / 'words.txt'", "a/b/words.txt"),
            ("pkgutil.get_data('a.b', 'words.txt')", "a/b/words.txt"),
            ("pkg_resources.resource_filename(__name__, 'data/words.txt')", "data/words.txt"),
        ] {
            assert!(paths(text).contains(&expected.to_owned()), "{text}: {:?}", paths(text));
        }
        assert_eq!(paths("open(join(HERE, 'words.txt'))"), ["or a module: words.txt"]);
    }

    #[test]
    fn texts_that_are_no_paths_are_left_out() {
        for text in [
            "'text/html'",
            "'1.0'",
            "'two words.txt'",
            "'https://example.org/a.txt'",
            "'data/*.txt'",
            "'data/../words.txt'",
            "'data/.hidden'",
            "'tools/run.py'",
            "join('data', name)",
            "HERE / 'data' / name",
        ] {
            assert_eq!(paths(text).into_iter().filter(|path| !path.ends_with("run.py")).count(), 0, "{text}");
        }
        // A computed part is between `data` and `words.txt`, so `data/words.txt` is not the path.
        assert!(!paths("join('data', name, 'words.txt')").contains(&"data/words.txt".to_owned()));
        // An expression with many levels does not take much time or stack.
        let deep = paths(&format!("a{}", " / 'b.txt'".repeat(900)));
        assert!(deep.iter().all(|path| path.split('/').count() <= 8), "{deep:?}");
    }

    #[test]
    fn a_path_that_only_another_system_reads_is_left_out() {
        assert_eq!(paths("1\nif sys.platform == 'win32':\n    open('data/words.txt')"), [""; 0]);
    }
}
