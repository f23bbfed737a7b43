//! Conditions whose result in an image is known, such as `if TYPE_CHECKING:` and `if sys.platform == "win32":`.

use ruff_python_ast::{self as ast, CmpOp, Expr, Number, UnaryOp};

use super::literal;

/// Whether a block with a condition runs in an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Runs {
    Maybe,
    /// The block runs only if Python starts the file as a program: `if __name__ == "__main__":`.
    AsProgram,
    Never,
}

/// Values of `sys.platform` and `os.name` that no image has.
const SYSTEMS: [&str; 7] = ["win32", "cygwin", "darwin", "nt", "java", "ios", "android"];

/// Values that can only be the name of a system. If a variable is compared with such a value, the name of the variable
/// does not matter.
const ALWAYS_SYSTEMS: [&str; 2] = ["win32", "cygwin"];

/// Values of `platform.system()` that no image has.
const NAMES_OF_SYSTEMS: [&str; 3] = ["Darwin", "Java", "Windows"];

pub(super) fn runs(test: &Expr) -> Runs {
    let never = |is_never: bool| if is_never { Runs::Never } else { Runs::Maybe };
    match test {
        Expr::Name(name) => never(name.id.as_str() == "TYPE_CHECKING"),
        Expr::Attribute(attribute) => never(attribute.attr.as_str() == "TYPE_CHECKING"),
        Expr::Compare(comparison) if comparison.ops.contains(&CmpOp::Eq) => equal(comparison),
        Expr::Call(call) => never(is_start_of_platform(call)),
        Expr::BoolOp(operation) => {
            let parts = operation.values.iter().map(runs);
            let all = match operation.op {
                ast::BoolOp::And => parts.max(),
                ast::BoolOp::Or => parts.min(),
            };
            all.unwrap_or(Runs::Maybe)
        }
        _ => never(is_false(test)),
    }
}

fn equal(comparison: &ast::ExprCompare) -> Runs {
    let sides = || std::iter::once(&*comparison.left).chain(&comparison.comparators);
    let has = |texts: &[&str]| sides().any(|side| literal(side).is_some_and(|text| texts.contains(&&*text)));
    if has(&["__main__"]) && sides().any(|side| is_name(side, "__name__")) {
        return Runs::AsProgram;
    }
    let is_other = has(&ALWAYS_SYSTEMS)
        || has(&SYSTEMS) && sides().any(is_system)
        || has(&NAMES_OF_SYSTEMS) && sides().any(is_call_of_system);
    if is_other { Runs::Never } else { Runs::Maybe }
}

/// Whether the expression is `sys.platform` or `os.name`. The attribute `platform` of another object does not count,
/// because it may be the platform of another computer.
fn is_system(expr: &Expr) -> bool {
    ["sys", "_sys"].iter().any(|module| is_attribute(expr, module, "platform"))
        || ["os", "_os"].iter().any(|module| is_attribute(expr, module, "name"))
}

/// Whether the expression is `platform.system()`, or `system()` after `from platform import system`. Another object
/// with a method `system` does not count, because it may be the system of another computer.
fn is_call_of_system(expr: &Expr) -> bool {
    let Expr::Call(call) = expr else { return false };
    is_name(&call.func, "system") || is_attribute(&call.func, "platform", "system")
}

/// Whether the call is `sys.platform.startswith("win")`, or the same for another system. The attribute `platform` of
/// another object does not count.
fn is_start_of_platform(call: &ast::ExprCall) -> bool {
    let Expr::Attribute(method) = &*call.func else { return false };
    let begin = call.arguments.args.first().and_then(literal);
    let is_other = begin.is_some_and(|begin| *begin == *"win" || SYSTEMS.contains(&&*begin));
    method.attr.as_str() == "startswith" && is_attribute(&method.value, "sys", "platform") && is_other
}

/// Whether the expression is this attribute of this variable, such as `sys.platform`.
fn is_attribute(expr: &Expr, of: &str, attribute: &str) -> bool {
    matches!(expr, Expr::Attribute(found) if found.attr.as_str() == attribute && is_name(&found.value, of))
}

fn is_name(expr: &Expr, name: &str) -> bool {
    matches!(expr, Expr::Name(found) if found.id.as_str() == name)
}

/// Returns whether Python's compiler removes a block with this condition.
pub(super) fn is_false(test: &Expr) -> bool {
    match test {
        Expr::UnaryOp(operation) => operation.op == UnaryOp::Not && is_always(&operation.operand),
        Expr::BooleanLiteral(literal) => !literal.value,
        Expr::NoneLiteral(_) => true,
        Expr::NumberLiteral(literal) => matches!(&literal.value, Number::Int(value) if value.as_i64() == Some(0)),
        Expr::StringLiteral(literal) => literal.value.is_empty(),
        _ => false,
    }
}

/// Returns whether Python's compiler removes the other branches of a block with this condition.
pub(super) fn is_always(test: &Expr) -> bool {
    match test {
        Expr::UnaryOp(operation) => operation.op == UnaryOp::Not && is_false(&operation.operand),
        Expr::BooleanLiteral(literal) => literal.value,
        Expr::NumberLiteral(literal) => {
            matches!(&literal.value, Number::Int(value) if value.as_i64().is_some_and(|value| value != 0))
        }
        Expr::Name(name) => name.id.as_str() == "__debug__",
        _ => false,
    }
}
