//! The imports of a Python file, read with ruff's parser.
//!
//! No code is run. A file with a syntax error has no facts, because Python cannot import it either. The same applies to
//! a file that is nested too deeply for Python's compiler.
//!
//! Sources: the Python language reference, sections "Import statement" and "Encoding declarations" (PEP 263).

mod conditions;
mod dynamic;
mod files;
mod text;
mod uses;

use std::borrow::Cow;
use std::collections::BTreeSet;

use memchr::memmem;
use ruff_python_ast::visitor::{Visitor, walk_except_handler, walk_expr, walk_keyword, walk_stmt};
use ruff_python_ast::{self as ast, ExceptHandler, Expr, Operator, Stmt};
use ruff_python_parser::parse_module;

use self::conditions::{Runs, is_always, is_false, runs};
use self::dynamic::{Call, after_module_option, meaning, name_in};
use self::files::{joined_path, path_in};
use self::text::{decode, nesting};
use self::uses::Uses;
use crate::model::python_file::{Computed, Import, ImportedName, PythonFile, When};

/// The maximum size of a file. The largest files in Debian and on PyPI are tables of a few megabytes.
const MAX_BYTES: usize = 32 << 20;

/// The stack size that one level of nesting may need, both in [`Collector`] and when the syntax tree is dropped.
const STACK_BYTES_PER_LEVEL: usize = 4 << 10;

/// A file with fewer levels is read without a separate stack.
const SHALLOW: usize = 100;

/// Reads the facts about a Python file. Returns `None` if Python could not compile the file, or if it is too large.
pub(crate) fn parse(bytes: &[u8]) -> Option<PythonFile> {
    if bytes.len() > MAX_BYTES {
        return None;
    }
    // The facts about a file without imports and without string literals cannot lead to a module, so it is not parsed.
    let has = |word: &str| memmem::find(bytes, word.as_bytes()).is_some();
    let is_plain = !has("coding") && std::str::from_utf8(bytes).is_ok();
    if is_plain && !has("import") && !has("\"") && !has("'") {
        return Some(PythonFile::default());
    }
    parse_text(&decode(bytes)?)
}

/// Returns the modules that the lines of a `.pth` file import. `site` runs these lines before every program.
pub(crate) fn of_pth(bytes: &[u8]) -> BTreeSet<String> {
    let text = String::from_utf8_lossy(bytes);
    let lines = text.split(['\n', '\r']).filter(|line| line.starts_with("import ") || line.starts_with("import\t"));
    let files = lines.filter_map(|line| parse_text(line.trim()));
    files.flat_map(|file| file.imports.iter().filter_map(|import| import.module("")).collect::<Vec<_>>()).collect()
}

/// Returns the folders and archives that the lines of a `.pth` file add to the search path. These paths are absolute,
/// or relative to the folder of the `.pth` file.
pub(crate) fn paths_of_pth(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let lines = text.split(['\n', '\r']).map(str::trim_end);
    let is_path = |line: &&str| {
        !line.is_empty()
            && !line.starts_with(['#', '\u{feff}'])
            && !line.starts_with("import ")
            && !line.starts_with("import\t")
    };
    lines.filter(is_path).map(str::to_owned).collect()
}

fn parse_text(text: &str) -> Option<PythonFile> {
    Collector::default().read(text)
}

/// Collects the facts while it visits a syntax tree in the order of the text.
#[derive(Default)]
struct Collector {
    file: PythonFile,
    /// The top-level function that contains the current node.
    function: Option<String>,
    /// The number of bodies that contain the current node. The file, each function and each other statement with a
    /// block have a body.
    depth: usize,
    when: When,
    is_skipped: bool,
    /// Whether the current node runs only if Python starts the file as a program.
    as_program: bool,
    is_optional: bool,
    /// Texts without a dot that may be the names of modules.
    words: BTreeSet<String>,
    /// The number of texts that contain this program, because a program may be inside a text of another program.
    levels_of_text: u8,
    /// Whether the file finds modules by name. If so, `words` are used.
    finds_modules: bool,
    /// Whether the file runs programs, so that `words` may be names of programs.
    runs_programs: bool,
    uses: Uses,
}

/// A program that is nested in more texts than this is not read.
const MOST_LEVELS_OF_TEXT: u8 = 2;

/// A file that contains one of these names finds modules or entry points by name.
const FINDING: [&str; 12] = [
    "__getattr__",
    "attach",
    "entry_points",
    "iter_entry_points",
    "lazy_loader",
    "load_setuptools_entrypoints",
    "DispatchExtensionManager",
    "DriverManager",
    "EnabledExtensionManager",
    "ExtensionManager",
    "HookManager",
    "NamedExtensionManager",
];

/// A file that contains one of these names may run programs.
const RUNNING: [&str; 5] = ["Popen", "create_subprocess_exec", "executable", "subprocess", "which"];

impl Collector {
    /// Visits a whole program. Returns `None` if Python could not compile it.
    fn read(mut self, text: &str) -> Option<PythonFile> {
        let levels = nesting(text)?;
        let is_inner = self.levels_of_text > 0;
        let read = || {
            let parsed = parse_module(text).ok()?;
            self.visit_body(parsed.suite());
            Some(self.finish())
        };
        // A program in a text is read on a separate stack, because the program that contains the text may have used
        // most of the current stack.
        let is_shallow = levels < SHALLOW && !is_inner;
        if is_shallow { read() } else { stacker::grow((levels + SHALLOW) * STACK_BYTES_PER_LEVEL, read) }
    }

    fn finish(mut self) -> PythonFile {
        let functions: BTreeSet<String> = self.file.functions.keys().cloned().collect();
        let imported: BTreeSet<&str> =
            self.file.imports.iter().flat_map(|import| &import.names).map(ImportedName::here).collect();
        for names in self.file.functions.values_mut().chain([&mut self.file.calls]) {
            names.retain(|name| functions.contains(name) || imported.contains(name.as_str()));
        }
        if self.finds_modules || !self.file.computed.is_empty() {
            self.file.texts.append(&mut self.words);
        } else if self.runs_programs {
            self.file.programs.append(&mut self.words);
        }
        self.file.uses.extend(self.uses.of(&self.file.imports));
        self.file
    }

    /// Adds a variable or an attribute.
    fn add_name(&mut self, name: &str) {
        self.finds_modules |= FINDING.contains(&name);
        self.runs_programs |= RUNNING.contains(&name);
        self.uses.add(name);
    }

    fn add(&mut self, import: Import) {
        self.file.imports.push(Import {
            when: self.when.clone(),
            is_skipped: self.is_skipped,
            as_program: self.as_program,
            is_optional: self.is_optional,
            ..import
        });
    }

    /// Visits a part of a statement. `runs` is whether this part runs.
    fn visit_part(&mut self, runs: Runs, visit: impl FnOnce(&mut Self)) {
        let before = (self.is_skipped, self.as_program);
        self.is_skipped |= runs == Runs::Never;
        self.as_program |= runs == Runs::AsProgram;
        visit(self);
        (self.is_skipped, self.as_program) = before;
    }

    fn visit_function(&mut self, function: &ast::StmtFunctionDef, stmt: &Stmt) {
        function.decorator_list.iter().for_each(|decorator| self.add_run(&decorator.expression));
        self.finds_modules |= function.name.as_str() == "__getattr__";
        let before = (self.function.clone(), self.when.clone());
        if self.depth == 1 {
            let name = function.name.to_string();
            // If several functions have this name, Python uses the last one.
            self.file.functions.insert(name.clone(), BTreeSet::new());
            let of_earlier = self.file.imports.iter_mut().filter(|import| import.when == When::Called(name.clone()));
            of_earlier.for_each(|import| import.when = When::Later);
            (self.function, self.when) = (Some(name.clone()), When::Called(name));
        } else if self.function.is_none() {
            self.when = When::Later;
        }
        walk_stmt(self, stmt);
        (self.function, self.when) = before;
    }

    fn visit_if(&mut self, statement: &ast::StmtIf) {
        self.visit_expr(&statement.test);
        self.visit_part(runs(&statement.test), |this| this.visit_body(&statement.body));
        let mut is_decided = is_always(&statement.test);
        for clause in &statement.elif_else_clauses {
            let of_test = clause.test.as_ref().map_or(Runs::Maybe, runs);
            self.visit_part(if is_decided { Runs::Never } else { of_test }, |this| {
                clause.test.iter().for_each(|test| this.visit_expr(test));
                this.visit_body(&clause.body);
            });
            is_decided |= clause.test.as_ref().is_some_and(is_always);
        }
    }

    fn visit_try(&mut self, statement: &ast::StmtTry) {
        let before = self.is_optional;
        self.is_optional |= statement.handlers.iter().any(handles_import_error);
        self.visit_body(&statement.body);
        self.is_optional = before;
        statement.handlers.iter().for_each(|handler| walk_except_handler(self, handler));
        self.visit_body(&statement.orelse);
        self.visit_body(&statement.finalbody);
    }

    /// Adds the strings in the value of `__all__`.
    fn add_exports(&mut self, target: &Expr, value: &Expr) {
        let is_exports = matches!(target, Expr::Name(name) if name.id.as_str() == "__all__");
        if is_exports && self.depth == 1 {
            self.add_exported(value);
        }
    }

    fn add_exported(&mut self, value: &Expr) {
        match value {
            Expr::List(_) | Expr::Tuple(_) => {
                let names = elements(value).iter().filter_map(literal).map(Cow::into_owned);
                self.file.exports.extend(names);
            }
            Expr::BinOp(operation) if operation.op == Operator::Add => {
                self.add_exported(&operation.left);
                self.add_exported(&operation.right);
            }
            // These are the names of objects in another module, which the file imports anyway.
            Expr::Attribute(attribute) if attribute.attr.as_str() == "__all__" => {}
            _ => self.file.computes_exports = true,
        }
    }

    /// Adds a function that is called when the file is imported.
    fn add_run(&mut self, function: &Expr) {
        let is_skipped = self.is_skipped || self.as_program;
        if let (Expr::Name(name), When::Imported, false) = (function, &self.when, is_skipped) {
            self.file.calls.insert(name.id.to_string());
        }
    }

    /// Adds a call such as `import_module("name")`.
    fn add_call(&mut self, call: &ast::ExprCall) {
        match meaning(call) {
            Call::Import(name) => {
                let module = name.trim_start_matches('.');
                let level = u32::try_from(name.len() - module.len()).unwrap_or(u32::MAX);
                self.add(Import { level, module: module.to_owned(), is_call: true, ..Import::default() });
            }
            Call::Computed(computed) => {
                self.file.computed.extend(computed);
            }
            Call::RunsCode => self.file.runs_code = true,
            // The loaded file may belong to the same distribution, or to a user.
            Call::RunsFile => {
                self.file.runs_code = true;
                self.file.computed.insert(Computed::Any);
            }
            Call::FindsPlugins(begin) => {
                self.file.groups.insert(begin);
            }
            Call::Other => {}
        }
    }

    /// Adds the imports of a program that is inside a text. Most texts that contain `import` are not programs.
    fn add_program(&mut self, text: &str) {
        let inner = Self { levels_of_text: self.levels_of_text + 1, ..Self::default() };
        let Some(file) = inner.read(text) else { return };
        let later = |import| Import { when: When::Later, ..import };
        self.file.imports.extend(file.imports.into_iter().map(later));
        self.file.texts.extend(file.texts);
        self.file.groups.extend(file.groups);
        self.file.files.extend(file.files);
        self.file.programs.extend(file.programs);
        self.file.uses.extend(file.uses);
    }

    /// Adds a text that may name a module.
    fn add_text(&mut self, text: &str) {
        // The text may be a program that the file writes to another file, or that it runs with `python -c`.
        if text.contains("import ") && self.levels_of_text < MOST_LEVELS_OF_TEXT {
            self.add_program(text);
        }
        self.finds_modules |= after_module_option(text).is_some();
        self.uses.add(text);
        match name_in(text) {
            Some((name, true)) => {
                self.file.texts.insert(name.to_owned());
            }
            Some((name, false)) => {
                self.words.insert(name.to_owned());
            }
            None => self.add_path(text),
        }
    }

    /// Adds a text that may be the path of a data file.
    fn add_path(&mut self, text: &str) {
        if let Some(path) = path_in(text).filter(|_| !self.is_skipped) {
            self.file.files.insert(path.to_owned());
        }
    }
}

impl<'a> Visitor<'a> for Collector {
    fn visit_body(&mut self, body: &'a [Stmt]) {
        let before = self.is_skipped;
        self.depth += 1;
        for stmt in body {
            self.visit_stmt(stmt);
            // The statements after this statement are never executed.
            self.is_skipped |= matches!(stmt, Stmt::Raise(_) | Stmt::Return(_) | Stmt::Break(_) | Stmt::Continue(_));
        }
        self.depth -= 1;
        self.is_skipped = before;
    }

    fn visit_stmt(&mut self, stmt: &'a Stmt) {
        match stmt {
            Stmt::Import(statement) => {
                for alias in &statement.names {
                    self.add(Import { module: alias.name.to_string(), ..Import::default() });
                }
            }
            Stmt::ImportFrom(statement) => {
                let module = statement.module.as_ref().map(ToString::to_string).unwrap_or_default();
                let names = statement.names.iter().map(imported_name).collect();
                self.add(Import { level: statement.level, module, names, ..Import::default() });
            }
            Stmt::FunctionDef(function) => self.visit_function(function, stmt),
            Stmt::ClassDef(class) => {
                class.decorator_list.iter().for_each(|decorator| self.add_run(&decorator.expression));
                walk_stmt(self, stmt);
            }
            Stmt::If(statement) => self.visit_if(statement),
            Stmt::Try(statement) => self.visit_try(statement),
            Stmt::While(statement) => {
                self.visit_expr(&statement.test);
                let runs = if is_false(&statement.test) { Runs::Never } else { Runs::Maybe };
                self.visit_part(runs, |this| this.visit_body(&statement.body));
                self.visit_body(&statement.orelse);
            }
            Stmt::Assign(statement) => {
                statement.targets.iter().for_each(|target| self.add_exports(target, &statement.value));
                walk_stmt(self, stmt);
            }
            Stmt::AnnAssign(statement) => {
                statement.value.iter().for_each(|value| self.add_exports(&statement.target, value));
                walk_stmt(self, stmt);
            }
            Stmt::AugAssign(statement) => {
                self.add_exports(&statement.target, &statement.value);
                walk_stmt(self, stmt);
            }
            _ => walk_stmt(self, stmt),
        }
    }

    fn visit_expr(&mut self, expr: &'a Expr) {
        match expr {
            Expr::Name(name) => {
                let names = self.function.as_ref().and_then(|function| self.file.functions.get_mut(function));
                if let Some(names) = names.filter(|names| !names.contains(name.id.as_str())) {
                    names.insert(name.id.to_string());
                }
                self.add_name(name.id.as_str());
            }
            Expr::Attribute(attribute) => {
                self.add_name(attribute.attr.as_str());
                walk_expr(self, expr);
            }
            Expr::StringLiteral(text) => self.add_text(text.value.to_str()),
            Expr::Call(call) => {
                self.add_run(&call.func);
                self.add_call(call);
                self.add_path(&joined_path(expr).unwrap_or_default());
                walk_expr(self, expr);
            }
            Expr::BinOp(operation) if operation.op == Operator::Div => {
                self.add_path(&joined_path(expr).unwrap_or_default());
                walk_expr(self, expr);
            }
            _ => walk_expr(self, expr),
        }
    }

    fn visit_keyword(&mut self, keyword: &'a ast::Keyword) {
        if let Some(name) = &keyword.arg {
            self.uses.add(name.as_str());
        }
        walk_keyword(self, keyword);
    }
}

fn imported_name(alias: &ast::Alias) -> ImportedName {
    ImportedName { name: alias.name.to_string(), alias: alias.asname.as_ref().map(ToString::to_string) }
}

/// Returns whether the handler catches all errors, or the error of a failed import.
fn handles_import_error(handler: &ExceptHandler) -> bool {
    let ExceptHandler::ExceptHandler(handler) = handler;
    let Some(expected) = handler.type_.as_deref() else { return true };
    let is_expected = |expr: &Expr| {
        let name = match expr {
            Expr::Name(name) => name.id.as_str(),
            Expr::Attribute(attribute) => attribute.attr.as_str(),
            _ => return false,
        };
        matches!(name, "ImportError" | "ModuleNotFoundError" | "Exception" | "BaseException")
    };
    is_expected(expected) || elements(expected).iter().any(is_expected)
}

/// Returns the elements of a list or tuple.
fn elements(expr: &Expr) -> &[Expr] {
    match expr {
        Expr::List(list) => &list.elts,
        Expr::Tuple(tuple) => &tuple.elts,
        _ => &[],
    }
}

/// Returns the text of a string literal.
fn literal(expr: &Expr) -> Option<Cow<'_, str>> {
    match expr {
        Expr::StringLiteral(literal) => Some(Cow::Borrowed(literal.value.to_str())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the imports of a file, one per line. Each line contains the modules and the special properties of one
    /// import.
    fn imports(text: &str) -> Vec<String> {
        let file = parse(text.as_bytes()).unwrap();
        let line = |import: &Import| {
            let mut line = ".".repeat(import.level as usize) + &import.module;
            import.names.iter().for_each(|one| line += &format!(" {}", one.name));
            match &import.when {
                When::Imported => {}
                When::Called(function) => line += &format!(" in {function}"),
                When::Later => line += " later",
            }
            for (is_so, word) in [
                (import.is_skipped, "skipped"),
                (import.as_program, "program"),
                (import.is_optional, "optional"),
                (import.is_call, "call"),
            ] {
                line += &if is_so { format!(" ({word})") } else { String::new() };
            }
            line
        };
        file.imports.iter().map(line).collect()
    }

    #[test]
    fn imports_are_read_from_all_bodies_with_the_time_at_which_they_run() {
        let text = "\
import a.b, c as d
from .e import f as g, h
from .. import i
class K:
    import j
    def method(self):
        import k
        def inner(): import l
def main():
    import m
    class L:
        def method(self): import n
async def other():
    async with o: from p import q
if x:
    def conditional(): import r
with t: import s; import u
";
        assert_eq!(
            imports(text),
            [
                "a.b",
                "c",
                ".e f h",
                ".. i",
                "j",
                "k later",
                "l later",
                "m in main",
                "n in main",
                "p q in other",
                "r later",
                "s",
                "u"
            ]
        );
    }

    #[test]
    fn blocks_that_never_run_are_skipped() {
        let text = "\
if TYPE_CHECKING: import a
elif x: import b
else: import c
if typing.TYPE_CHECKING and x: import d
if sys.platform == 'win32' or 'nt' == os.name: import e
if sys.platform == 'win32' or x: import f
if sys.platform != 'win32': import g
if __name__ == '__main__': import h
if 0: import i
elif not 1: import j
elif __debug__: import k
else: import l
while False: import m
for _ in x:
    import n
    break
    import o
if x:
    raise ImportError
    import p
import q
if platform.system() == 'Windows': import r
if 'Darwin' == system(): import s
if sys.platform.startswith('win'): import t
if sys.platform.startswith('linux') or name.startswith('win'): import u
if platform.system() == 'Linux': import v
if target.platform.startswith('win'): import w
if target.system() == 'Windows' and self.platform.system() == 'Windows': import x
if language == 'java' or args.platform == 'ios': import y
if 'darwin' == _sys.platform or PLATFORM == 'win32': import z
";
        let skipped: Vec<String> = imports(text).into_iter().filter(|line| line.contains("skipped")).collect();
        let names: String = skipped.iter().map(|line| &line[..1]).collect();
        assert_eq!(names, "adeijlmoprstz");
    }

    #[test]
    fn blocks_that_run_only_in_a_program_are_marked() {
        let text = "\
if __name__ == '__main__':
    import a
    if x: import b
    go()
else: import c
if x and '__main__' == __name__: import d
if x or __name__ == '__main__': import e
if name == '__main__': import f
if __name__ == '__main__' and TYPE_CHECKING: import g
";
        let marked: Vec<String> = imports(text).into_iter().filter(|line| line.contains('(')).collect();
        assert_eq!(marked, ["a (program)", "b (program)", "d (program)", "g (skipped)"]);
        assert_eq!(parse(text.as_bytes()).unwrap().calls, BTreeSet::new());
    }

    #[test]
    fn a_list_of_exports_may_be_computed() {
        for (text, computes) in [
            ("__all__ = [basename(x) for x in glob('*.py')]", true),
            ("__all__: list[str] = ['a']", false),
            ("__all__ = ['a'] + other.__all__", false),
            ("__all__ = ['a'] + names", true),
            ("__all__ += names()", true),
            ("def f(): __all__ = names", false),
        ] {
            let file = parse(format!("import x\n{text}").as_bytes()).unwrap();
            assert_eq!(file.computes_exports, computes, "{text}");
            assert_eq!(file.exports.contains("a"), text.contains("'a'"), "{text}");
        }
    }

    #[test]
    fn calls_and_errors_that_are_handled_are_recorded() {
        let text = "\
try: import a
except ImportError: import b
else: import c
try: import d
except (x.ModuleNotFoundError, y): pass
try: import e
except ValueError: pass
importlib.import_module('f.g')
x = __import__(name='h'), __import__('i'), import_module(j)
def function(): import_module('..k', __package__)
import_module('.m', 'l')
";
        let calls = ["f.g (call)", "i (call)", "..k in function (call)", "l.m (call)"];
        let expected = [&["a (optional)", "b", "c", "d (optional)", "e"], &calls[..]].concat();
        assert_eq!(imports(text), expected);
    }

    #[test]
    fn functions_have_the_names_that_lead_to_other_functions_and_imports() {
        let text = "\
from a import b as c, d
def main(x=c):
    e.f(y); return [helper for d in z]
def helper(): f'{main}'; import a; a.c
def helper(): return 'c'
__all__ = ['main', x, 'helper']
__all__ += ('c',)
";
        let file = parse(text.as_bytes()).unwrap();
        let names = |function: &str| file.functions[function].iter().cloned().collect::<Vec<_>>().join(" ");
        assert_eq!((names("main").as_str(), names("helper").as_str()), ("c d helper", ""));
        assert_eq!(file.in_function("helper").count(), 0, "the last function of a name counts");
        assert_eq!(file.exports, BTreeSet::from(["main", "helper", "c"].map(str::to_owned)));
        assert_eq!(parse(b"__all__ = ['a']").unwrap().exports.len(), 1);
    }

    #[test]
    fn functions_that_run_during_the_import_are_recorded() {
        let text = "\
from a import made, other, Decorator
def go(): later()
def later(): pass
def unused(): pass
go(locals())
x = made('x').y
@Decorator
def decorated(): pass
class C:
    z = outside()
if TYPE_CHECKING: unused()
lambda: other
";
        let calls = parse(text.as_bytes()).unwrap().calls;
        assert_eq!(calls, BTreeSet::from(["Decorator", "go", "made"].map(str::to_owned)));
    }

    #[test]
    fn lines_of_a_pth_file_import() {
        let lines =
            b"./folder\nimport os; on = 1; on and __import__('hook').go()\r\nimport\ta.b\n import c\nimport (\n\xff\n";
        assert_eq!(of_pth(lines), BTreeSet::from(["a.b", "hook", "os"].map(str::to_owned)));
    }

    #[test]
    fn a_file_that_python_cannot_compile_has_no_facts() {
        let files: [&[u8]; 7] = [
            b"import a\nprint 'python 2'\n",
            b"import a\0",
            b"import a # \xff",
            b"\xef\xbb\xbf# coding: latin-1\nimport a",
            b"import a\nif x:\nimport b",
            b"import a\n(",
            b"import a\nexec 'x' in y",
        ];
        for file in files {
            assert_eq!(parse(file), None, "{}", String::from_utf8_lossy(file));
        }
        for file in [
            &b"\xef\xbb\xbfimport a"[..],
            b"# coding: latin-1\nimport a # \xff",
            b"import a\r\nimport a",
            b"import a\x0c",
        ] {
            assert_eq!(parse(file).unwrap().imports[0].module, "a", "{}", String::from_utf8_lossy(file));
        }
    }

    #[test]
    fn deep_nesting_is_read_up_to_a_limit_and_never_overflows_the_stack() {
        let deep = |open: &str, inner: &str, close: &str, levels: usize| {
            let text = format!("import a\nx = {}{inner}{}\n", open.repeat(levels), close.repeat(levels));
            parse(text.as_bytes()).map(|file| file.imports.len())
        };
        for (open, inner, close) in [
            ("(", "1", ")"),
            ("[", "", "]"),
            ("f(", "", ")"),
            ("-", "1", ""),
            ("not ", "1", ""),
            ("1 + ", "1", ""),
            ("", "a", ".b"),
            ("", "a", "[0]"),
            ("", "a", "()"),
            ("1 ** ", "1", ""),
            ("1 if 1 else ", "1", ""),
            ("lambda: ", "1", ""),
            ("lambda x, y: ", "1", ""),
            ("{1: ", "1", "}"),
            ("[1, ", "1", "]"),
            ("await ", "1", ""),
            ("*", "a", ""),
            ("x := ", "1", ""),
        ] {
            for levels in [1_000, 100_000, 1_000_000] {
                let found = deep(open, inner, close, levels);
                assert!(found.is_none_or(|found| found == 1 && levels == 1_000), "{open} {levels}");
            }
        }
        for (open, inner, close) in [("(", "1", ")"), ("1 + ", "1", ""), ("", "a", ".b()")] {
            assert_eq!(deep(open, inner, close, 1_000), Some(1), "{open}");
        }
        let blocks = |levels: usize| {
            let lines = (0..levels).map(|level| format!("{}if x:\n", " ".repeat(level)));
            lines.collect::<String>() + &" ".repeat(levels) + "import a\n"
        };
        assert_eq!(parse(blocks(90).as_bytes()).map(|file| file.imports.len()), Some(1));
        assert_eq!(parse(blocks(2_000).as_bytes()), None);
        assert_eq!(
            parse(
                "async ".repeat(100_000).as_bytes().iter().chain(b"import a").copied().collect::<Vec<_>>().as_slice()
            ),
            None
        );
    }

    #[test]
    fn a_large_table_is_read_and_a_cut_or_changed_file_never_panics() {
        let table = format!("import a\nTABLE = [{}]\n", "(1, 'x', [0x20, -1]),\n".repeat(100_000));
        assert_eq!(parse(table.as_bytes()).unwrap().imports.len(), 1);
        let data = |bytes: usize| format!("import a\nDATA = '{}'\n", "x".repeat(bytes));
        assert_eq!(parse(data(10 << 20).as_bytes()).unwrap().imports.len(), 1);
        assert_eq!(parse(data(MAX_BYTES).as_bytes()), None, "a larger file is not read");
        let text = "import a\n@d\nclass A(B[f'{x!r:>{y}}']):\n\tasync def f(self, *, a: int = 1, **k): # x\n\t\timport b\n\
            match x:\n  case {'a': [1, *_], **r} if (y := z): pass\ntype X[T] = int\ntry: pass\nexcept* E: pass\n\
            with (a as b, c): x[1:2, ...] = lambda *a, b=1: (yield)\n";
        assert!(parse(text.as_bytes()).is_some());
        for at in 0..text.len() {
            let _ = parse(&text.as_bytes()[..at]);
            for byte in [0xff, b'(', b'\n', b'{', b'\'', b'\\', b'\t'] {
                let mut changed = text.as_bytes().to_vec();
                changed[at] = byte;
                let _ = parse(&changed);
            }
        }
    }
}
