//! Imports that are not statements: calls with computed names, and texts that may be names of modules.

use std::borrow::Cow;

use ruff_python_ast::{self as ast, Expr, Operator};

use super::literal;
use crate::model::python_file::Computed;

/// Functions that import or find a module. Its name is their first argument.
const BY_NAME: [&str; 10] = [
    "__import__",
    "find_loader",
    "find_spec",
    "get_loader",
    "import_module",
    "import_object",
    "import_string",
    "load_module",
    "locate",
    "resolve_name",
];
/// Functions that list the modules of a package. `attach_stub` and `lazy_attach_stub`, its older name, belong to
/// lazy_loader. They read the names of the modules in the stub of the package.
const LISTING: [&str; 4] = ["attach_stub", "iter_modules", "lazy_attach_stub", "walk_packages"];
/// Functions and classes that load a module from a file. The path of the file is their second argument.
const BY_PATH: [&str; 3] = ["SourceFileLoader", "load_source", "spec_from_file_location"];
/// Functions and classes that run other code: a file, a module that a user names, or lines that a user types.
const RUNNING: [&str; 4] = ["InteractiveConsole", "InteractiveInterpreter", "run_module", "run_path"];
/// The options of Python that consist of one letter and have no value. Such letters may come before `m` in the same
/// word, like in `-Im`. Source: the documentation of Python, "Command line and environment".
const FLAGS: &str = "bBdEiIOPqRsStuvx";
/// If the literal beginning of a computed name has no dot, it must have at least so many characters. A shorter one, such
/// as `_`, is the beginning of too many names.
const FEWEST_CHARACTERS: usize = 3;
/// A text that is longer than this is not a name.
const MOST_CHARACTERS: usize = 120;

/// The meaning of a call for the imports of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Call<'a> {
    /// It imports the module with this name.
    Import(Cow<'a, str>),
    Computed(Vec<Computed>),
    /// It runs code that is not part of the file.
    RunsCode,
    /// It loads a module from a file whose path is computed.
    RunsFile,
    /// It finds the entry points of a group whose name is computed. The value is the literal beginning of the name.
    FindsPlugins(String),
    Other,
}

/// Returns the meaning of a call.
pub(super) fn meaning(call: &ast::ExprCall) -> Call<'_> {
    let (function, of) = match &*call.func {
        Expr::Name(name) => (name.id.as_str(), None),
        Expr::Attribute(attribute) => (attribute.attr.as_str(), Some(&*attribute.value)),
        _ => return Call::Other,
    };
    if is_interact(function, of)
        || (RUNNING.contains(&function) && !call.arguments.args.first().is_some_and(is_literal))
    {
        return Call::RunsCode;
    }
    if function == "exec" && call.arguments.args.first().is_some_and(is_compiled_file) {
        return Call::RunsCode;
    }
    if BY_PATH.contains(&function) && argument(call, 1, "location").is_some_and(|path| !is_literal(path)) {
        return Call::RunsFile;
    }
    if let Some(group) = group(function, call).filter(|group| !is_literal(group)) {
        return Call::FindsPlugins(beginning(group).unwrap_or_default());
    }
    if LISTING.contains(&function) {
        return Call::Computed(vec![Computed::Own]);
    }
    if !BY_NAME.contains(&function) {
        return Call::Other;
    }
    let Some(name) = call.arguments.args.first() else { return Call::Other };
    match literal(name) {
        Some(name) => Call::Import(absolute(name, call)),
        None => Call::Computed(computed(name, call)),
    }
}

/// Returns the argument with this position or this name.
fn argument<'a>(call: &'a ast::ExprCall, position: usize, name: &str) -> Option<&'a Expr> {
    call.arguments.args.get(position).or_else(|| keyword(call, name))
}

fn keyword<'a>(call: &'a ast::ExprCall, name: &str) -> Option<&'a Expr> {
    Some(&call.arguments.find_keyword(name)?.value)
}

/// Returns the expression for the name of the group, if the function returns the entry points of a group.
fn group<'a>(function: &str, call: &'a ast::ExprCall) -> Option<&'a Expr> {
    match function {
        "entry_points" | "select" => keyword(call, "group"),
        "iter_entry_points" => argument(call, 0, "group"),
        _ => None,
    }
}

fn is_literal(expr: &Expr) -> bool {
    literal(expr).is_some()
}

/// Whether the call is `code.interact()`. A method `interact` of another object does not count.
fn is_interact(function: &str, of: Option<&Expr>) -> bool {
    function == "interact" && matches!(of, Some(Expr::Name(name)) if name.id.as_str() == "code")
}

/// `exec(compile(text, path, "exec"), names)` is the usual way to run a file. If the second argument of `compile` is a
/// literal such as `"<string>"`, the code does not come from a file.
fn is_compiled_file(argument: &Expr) -> bool {
    let Expr::Call(call) = argument else { return false };
    let is_compile = matches!(&*call.func, Expr::Name(name) if name.id.as_str() == "compile");
    is_compile && call.arguments.args.get(1).is_some_and(|path| literal(path).is_none())
}

/// Returns the name that `import_module(".name", "package")` imports. Other names stay as they are.
fn absolute<'a>(name: Cow<'a, str>, call: &'a ast::ExprCall) -> Cow<'a, str> {
    let package = argument(call, 1, "package").filter(|_| is_import_module(call)).and_then(literal);
    match (package, name.strip_prefix('.')) {
        (Some(package), Some(inner)) if !inner.starts_with('.') => Cow::Owned(format!("{package}.{inner}")),
        _ => name,
    }
}

/// Returns which modules a call may import. `name` is the expression for the name of the module. It is not a literal.
fn computed(name: &Expr, call: &ast::ExprCall) -> Vec<Computed> {
    let package = argument(call, 1, "package").filter(|_| is_import_module(call));
    match beginning(name) {
        // The name is relative to a package above the package of the file.
        Some(begin) if begin.starts_with("..") => vec![Computed::Any],
        Some(begin) if begin.starts_with('.') => vec![relative_to(package)],
        // For example `import_module(__name__ + "." + name)`.
        _ if is_own(name) => vec![Computed::Own],
        Some(begin) if begin.contains('.') => vec![Computed::Below(begin)],
        // The second argument is the package to which a relative name is relative. Here, it is the file's own package.
        _ if package.is_some_and(is_name_of_module) => vec![Computed::Own],
        // The name may be that of another distribution, such as `tree_sitter_` with a language. Or it is the beginning
        // of a file name in the own package.
        Some(begin) if begin.len() >= FEWEST_CHARACTERS => vec![Computed::Any, Computed::Below(begin)],
        _ => vec![Computed::Any],
    }
}

/// Returns which modules a name may mean that begins with one dot. `package` is the package to which the name is
/// relative.
fn relative_to(package: Option<&Expr>) -> Computed {
    match package {
        None => Computed::Own,
        Some(package) if is_name_of_module(package) => Computed::Own,
        Some(package) => literal(package).map_or(Computed::Any, |package| Computed::Below(format!("{package}."))),
    }
}

fn is_import_module(call: &ast::ExprCall) -> bool {
    match &*call.func {
        Expr::Attribute(attribute) => attribute.attr.as_str() == "import_module",
        Expr::Name(name) => name.id.as_str() == "import_module",
        _ => false,
    }
}

fn is_name_of_module(expr: &Expr) -> bool {
    matches!(expr, Expr::Name(name) if matches!(name.id.as_str(), "__name__" | "__package__"))
}

/// Whether the name begins with the name of the file's own module or package, such as `__name__ + "." + x` or
/// `f"{__name__}.{x}"`.
fn is_own(expr: &Expr) -> bool {
    match expr {
        Expr::BinOp(operation) if operation.op == Operator::Add => is_own(&operation.left),
        Expr::FString(text) => first_part(text).is_some_and(|part| match part {
            ast::InterpolatedStringElement::Interpolation(one) => is_name_of_module(&one.expression),
            ast::InterpolatedStringElement::Literal(_) => false,
        }),
        other => is_name_of_module(other),
    }
}

/// Returns the literal beginning of a computed text.
fn beginning(expr: &Expr) -> Option<String> {
    let text = match expr {
        Expr::BinOp(operation) if operation.op == Operator::Add => match literal(&operation.left) {
            Some(text) => text.into_owned(),
            None => beginning(&operation.left)?,
        },
        // `"package.%s" % name`
        Expr::BinOp(operation) if operation.op == Operator::Mod => {
            literal(&operation.left)?.split('%').next()?.to_owned()
        }
        // `"package.{}".format(name)`
        Expr::Call(call) => match &*call.func {
            Expr::Attribute(attribute) if attribute.attr.as_str() == "format" => {
                literal(&attribute.value)?.split('{').next()?.to_owned()
            }
            _ => return None,
        },
        Expr::FString(text) => match first_part(text)? {
            ast::InterpolatedStringElement::Literal(one) => one.value.to_string(),
            ast::InterpolatedStringElement::Interpolation(_) => return None,
        },
        _ => return None,
    };
    Some(text).filter(|text| !text.is_empty())
}

fn first_part(text: &ast::ExprFString) -> Option<&ast::InterpolatedStringElement> {
    text.value.elements().next()
}

/// Returns the name that a text contains. It may be the name of a module, of a group of entry points or of a Python
/// file. Returns `None` if the text cannot be such a name. Examples of such names are `a.b`, `a.b:c`, `.a`, `-ma`,
/// `-Ima` and `tool.py`. The second value is whether the name contains a dot between two parts.
pub(super) fn name_in(text: &str) -> Option<(&str, bool)> {
    let text = after_module_option(text).unwrap_or(text).trim();
    if text.len() > MOST_CHARACTERS {
        return None;
    }
    if text.ends_with(".py") {
        let file = text.rsplit('/').next()?;
        return Some((file, true));
    }
    let name = text.split(':').next()?;
    let whole = name.trim_end_matches('.');
    let name = whole.trim_start_matches('.');
    let is_part = |part: &str| {
        let mut letters = part.chars();
        letters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
            && letters.all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-'))
    };
    (!name.is_empty() && name.split('.').all(is_part)).then(|| (whole, name.contains('.')))
}

/// Returns the text after Python's option `-m`, which comes before the name of a module. This is `tool` for `-mtool`
/// and `-Imtool`. The result is empty for `-m` and `-Im`, because the name is then in the next text.
pub(super) fn after_module_option(text: &str) -> Option<&str> {
    let letters = text.strip_prefix('-')?;
    letters.trim_start_matches(|letter: char| FLAGS.contains(letter)).strip_prefix('m')
}

#[cfg(test)]
mod tests {
    use crate::formats::python_imports::parse;
    use crate::model::python_file::{Computed, PythonFile};

    fn file(text: &str) -> PythonFile {
        parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn names_that_are_computed_are_known_as_far_as_their_beginning() {
        let below = |text: &str| Some(Computed::Below(text.to_owned()));
        for (call, expected) in [
            ("import_module(name)", Some(Computed::Any)),
            ("import_module('.' + name, __package__)", Some(Computed::Own)),
            ("import_module(name, __name__)", Some(Computed::Own)),
            ("importlib.import_module(f'.{name}', package)", Some(Computed::Any)),
            ("importlib.import_module(f'.{name}', package=__package__)", Some(Computed::Own)),
            ("importlib.import_module('.' + name, 'other.package')", below("other.package.")),
            ("import_module(f'..plugins.{name}', __package__)", Some(Computed::Any)),
            ("import_module(f'{__name__}.{name}')", Some(Computed::Own)),
            ("import_module(__name__ + '.' + name)", Some(Computed::Own)),
            ("__import__('a.b.' + name)", below("a.b.")),
            ("import_module('a.b_%s' % name)", below("a.b_")),
            ("import_module('a.{}'.format(name))", below("a.")),
            ("import_module(f'a.{name}')", below("a.")),
            ("import_module('x' + name)", Some(Computed::Any)),
            ("pkgutil.iter_modules(__path__)", Some(Computed::Own)),
            ("lazy_loader.attach_stub(__name__, __file__)", Some(Computed::Own)),
            ("spec_from_file_location(name, path)", Some(Computed::Any)),
            ("import_module('a.b')", None),
            ("other(name)", None),
        ] {
            let found = file(&format!("import x; y = {call}")).computed.into_iter().next();
            assert_eq!(found, expected, "{call}");
        }
        let both = file("y = import_module(f'tree_sitter_{name}')").computed;
        assert_eq!(both, [Computed::Any, Computed::Below("tree_sitter_".to_owned())].into());
    }

    #[test]
    fn calls_that_run_code_of_others_are_found() {
        for (call, expected) in [
            ("code.interact()", true),
            ("child.interact()", false),
            ("runpy.run_path(path)", true),
            ("runpy.run_module('pip')", false),
            ("exec(compile(text, path, 'exec'), names)", true),
            ("exec(compile(text, '<string>', 'exec'))", false),
            ("exec(text)", false),
            ("InteractiveConsole(names).interact()", true),
            ("importlib.util.spec_from_file_location(name, location=path)", true),
            ("SourceFileLoader('x', str(path)).load_module()", true),
            ("SourceFileLoader('x', '/etc/x.py')", false),
        ] {
            assert_eq!(file(&format!("import x; {call}")).runs_code, expected, "{call}");
        }
    }

    #[test]
    fn groups_of_entry_points_with_a_computed_name_are_known_as_far_as_their_beginning() {
        for (call, expected) in [
            ("entry_points(group=f'tool_{name}')", Some("tool_")),
            ("pkg_resources.iter_entry_points(group)", Some("")),
            ("entry_points().select(group=name)", Some("")),
            ("entry_points(group='tool')", None),
            ("entry_points()", None),
            ("other(group=name)", None),
        ] {
            let found = file(&format!("import x; y = {call}")).groups.into_iter().next();
            assert_eq!(found.as_deref(), expected, "{call}");
        }
    }

    #[test]
    fn texts_with_names_are_kept_and_words_only_if_the_file_finds_modules() {
        let texts = |text: &str| file(text).texts.into_iter().collect::<Vec<_>>();
        assert_eq!(texts("x = ['a.b:c', 'word', 'two words', 'dir/tool.py', 'a..b']"), ["a.b", "tool.py"]);
        for option in ["-mtool", "-Imtool", "-m tool"] {
            assert_eq!(texts(&format!("x = [sys.executable, '{option}', 'word']")), ["tool", "word"], "{option}");
        }
        for option in ["-m", "-Im", "-um", "-Em", "-sm", "-bm", "-OOm", "-IBm"] {
            assert_eq!(texts(&format!("x = [sys.executable, '{option}', 'word']")), ["word"], "{option}");
        }
        for option in ["--m", "-", "-I", "-c", "-1m", "--im"] {
            assert_eq!(texts(&format!("x = [sys.executable, '{option}', 'word']")), [""; 0], "{option}");
        }
        assert_eq!(texts("def __getattr__(name): return {'word'}"), ["word"]);
        for text in ["subprocess.run(['word'])", "Popen([sys.executable, 'word'])"] {
            assert_eq!(texts(text), [""; 0], "{text}");
            assert_eq!(file(text).programs, ["word".to_owned()].into(), "{text}");
        }
    }

    #[test]
    fn the_imports_of_a_program_in_a_text_count() {
        let found = file("x = 'import a; from b import c'\ny = 'please import this'\n");
        let modules: Vec<&str> = found.imports.iter().map(|import| import.module.as_str()).collect();
        assert_eq!(modules, ["a", "b"]);
    }

    #[test]
    fn a_program_in_a_text_may_be_nested_deeply() {
        let deep = |levels: usize| format!("import a; x = {}1{}", "(".repeat(levels), ")".repeat(levels));
        for (levels, count) in [(10, 1), (5_000, 1), (200_000, 0)] {
            assert_eq!(file(&format!("x = '{}'", deep(levels))).imports.len(), count, "{levels}");
        }
    }
}
