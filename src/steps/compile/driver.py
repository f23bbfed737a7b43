"""Compiles Python files of the image below IMAGE, and tells which: a line of JSON for each in /work/told, by their paths.

    driver.py IMAGE start|all SEARCH_PATH MODULE[:FUNCTION]...

    {"path": PATH, "size_bytes": SIZE, "imports": [NAME...], "outline": OUTLINE}    compiled: the next SIZE bytes of /work/code
    {"path": PATH, "outline": OUTLINE}    as /work/known.json has it: PATH -> [imports, outline]

OUTLINE is what `outline` makes of a file, or null where nobody asked.

`start` compiles what importing the modules would load, which is read from their bytecode: the imports that stand at the
top of a file and in its classes, and in the functions that a start goes through: FUNCTION, and what it names of its own
package. Nothing of the image is run, so that the outcome depends on the files alone, and not
on the processor. What is imported later, or by a computed name, is not among them.

A file's bytecode depends on the file alone. marshal writes an object that something else refers to otherwise than one
that nothing does, and what other files hold is chance: so all that a code object holds is held here, too.
"""

import _ast
import _imp
import dis
import gc
import importlib._bootstrap_external as external
import importlib.util
import json
import os
import sys

IMAGE, MODE, ROOTS, MODULES = sys.argv[1], sys.argv[2], sys.argv[3].split(":"), sys.argv[4:]
# Systems and situations that the image is not in: `if sys.platform == "win32":`, `if __name__ == "__main__":`.
NEVER = {"win32", "cygwin", "darwin", "nt", "java", "ios", "android", "__main__"}
CONDITIONS = NEVER | {"TYPE_CHECKING"}
IMPORT_NAME, LOAD_CONST = dis.opmap["IMPORT_NAME"], dis.opmap["LOAD_CONST"]
LOAD_SMALL_INT = dis.opmap.get("LOAD_SMALL_INT")  # since 3.14
OPTIMIZED = 1  # of a function; the body of a class lacks it
# What the interpreter imports before any program, where it is not frozen.
FIRST = ["encodings.utf_8", "encodings.aliases", "encodings.utf_8_sig", "sitecustomize"]
# What modules import by a call or by a computed name while most programs that have them start.
ASKED = {
    "importlib.metadata": ["importlib.metadata._adapters", "importlib.metadata._text", "email.parser"],
    "requests.packages": ["idna", "chardet"],
}

gc.disable()  # all is needed to the end
with open("/work/known.json") as file:
    known = json.load(file)
codes = {}  # path -> its code and source, or None where it does not compile
loads = {}  # path -> the names that it imports
outlines = {path: outline for path, (_, outline) in known.items() if outline}


def read(path, flags=0):
    """What a file compiles to, and its source; None where it does not compile."""
    try:
        with open(IMAGE + path, "rb") as file:
            source = file.read()
        return compile(source, path, "exec", flags, dont_inherit=True), source
    except (SyntaxError, ValueError, OSError, RecursionError):
        return None


def compiled(path):
    if path not in codes:
        codes[path] = read(path)
    return codes[path]


def held(value, found):
    """All strings and constants that the bytecode of `value` is written with, into `found`."""
    found.append(value)
    if isinstance(value, (tuple, frozenset)):
        for one in value:
            held(one, found)
    elif hasattr(value, "co_code"):
        for one in (value.co_consts, value.co_names, value.co_varnames, value.co_cellvars, value.co_freevars,
                    value.co_filename, value.co_name, value.co_qualname if hasattr(value, "co_qualname") else None,
                    value.co_linetable if hasattr(value, "co_linetable") else value.co_lnotab):
            held(one, found)
    return found


def find(name):
    """The file of a module, and whether it is a package; the first root that has it counts."""
    tail = "/" + name.replace(".", "/")
    for root in ROOTS:
        if os.path.isfile(IMAGE + root + tail + "/__init__.py"):
            return root + tail + "/__init__.py", True
        if os.path.isfile(IMAGE + root + tail + ".py"):
            return root + tail + ".py", False
    return None, True


def reached(code):
    """Names and arguments of the instructions that run when a file is imported, without blocks that never do."""
    skip_to, before = -1, []
    for instruction in dis.get_instructions(code):
        if instruction.offset < skip_to:
            continue
        if instruction.opname.startswith("POP_JUMP") and "IF_FALSE" in instruction.opname:
            names = [one.argval for one in before]
            is_never = "TYPE_CHECKING" in names[-2:] or any(
                one.opname == "COMPARE_OP" and "==" in str(one.argval) for one in before[-2:]
            ) and any(isinstance(name, str) and name in NEVER for name in names[-4:])
            if is_never:
                skip_to = instruction.argval
        before = before[-4:] + [instruction]
        yield instruction.opname, instruction.argval


def every_one(code):
    """The same where there is no such block, and only of the instructions that imports are made of: `dis` is slow."""
    extended = 0
    for opcode, argument in zip(code.co_code[::2], code.co_code[1::2]):
        argument |= extended
        extended = argument << 8 if opcode == dis.EXTENDED_ARG else 0
        if opcode == LOAD_CONST:
            yield "LOAD_CONST", code.co_consts[argument]
        elif opcode == LOAD_SMALL_INT:
            yield "LOAD_CONST", argument
        elif opcode == IMPORT_NAME:
            yield "IMPORT_NAME", code.co_names[argument]


def imports(code, package):
    """The names that a file imports when it is imported itself."""
    constants = []
    if IMPORT_NAME in code.co_code[::2]:
        words = {one for one in code.co_consts if isinstance(one, str)}.union(code.co_names)
        for opname, argument in every_one(code) if words.isdisjoint(CONDITIONS) else reached(code):
            if opname in ("LOAD_CONST", "LOAD_SMALL_INT"):
                constants = constants[-1:] + [argument]
            elif opname == "IMPORT_NAME" and len(constants) == 2:
                level, names = constants
                base = argument
                if level:
                    parent = package.split(".")[: len(package.split(".")) - level + 1]
                    base = ".".join(parent + ([base] if base else []))
                yield base
                yield from (f"{base}.{name}" for name in names or ())
    for constant in code.co_consts:
        if hasattr(constant, "co_code") and not constant.co_flags & OPTIMIZED:
            yield from imports(constant, package)


def nodes(node):
    """A syntax tree's nodes, in the order of the text."""
    waiting = [node]
    while waiting:
        node = waiting.pop()
        yield node
        below = []
        for field in node._fields:
            value = getattr(node, field, None)
            below += value if type(value) is list else (value,)
        waiting += [one for one in reversed(below) if isinstance(one, _ast.AST)]


def imported(node, package):
    """The module, its name in there and its name here, for each that an import statement brings."""
    if type(node) is _ast.Import:
        yield from ((alias.name, None, alias.asname) for alias in node.names)
    elif type(node) is _ast.ImportFrom:
        parts = package.split(".")
        base = parts[: len(parts) - node.level + 1] if node.level else []
        base = ".".join(base + ([node.module] if node.module else []))
        yield from ((base, alias.name, alias.asname or alias.name) for alias in node.names)


def outline(path, package):
    """Of a file's functions by their names, which names they use and what they import; and where each name comes from
    that the file imports anywhere."""
    if path not in outlines:
        found = read(path, _ast.PyCF_ONLY_AST)
        body = found[0].body if found else []
        walked = [(top, list(nodes(top))) for top in body]
        functions = {top.name: inside for top, inside in walked if type(top) in (_ast.FunctionDef, _ast.AsyncFunctionDef)}
        statements = (one for _, inside in walked for node in inside for one in imported(node, package))
        brought = {here: (base, name) for base, name, here in statements if name}
        for function, inside in functions.items():
            names = {node.id for node in inside if type(node) is _ast.Name}
            modules = [(base, name) for node in inside for base, name, _ in imported(node, package)]
            functions[function] = (
                sorted(name for name in names if name in functions or name in brought),
                sorted({one for base, name in modules for one in ((base, f"{base}.{name}") if name else (base,))}),
            )
        outlines[path] = functions, brought
    return outlines[path]


def gone_through(module, function):
    """What functions import that a start goes through, from `function` of `module` on."""
    waiting, seen = [(module, function)], set()
    while waiting:
        module, function = waiting.pop()
        path, is_package = find(module)
        if (module, function) in seen or not path:
            continue
        seen.add((module, function))
        functions, brought = outline(path, module if is_package else module.rpartition(".")[0])
        names, modules = functions.get(function, ([function], []))
        yield from modules
        waiting += [(module, name) for name in names if name in functions]
        own = module.partition(".")[0]
        waiting += [tuple(brought[name]) for name in names if name in brought and brought[name][0].partition(".")[0] == own]


def of_every_start():
    """What `.pth` files import, which `site` runs before any program."""
    for root in ROOTS[1:]:
        names = os.listdir(IMAGE + root) if os.path.isdir(IMAGE + root) else []
        for name in sorted(name for name in names if name.endswith(".pth")):
            with open(IMAGE + root + "/" + name, encoding="utf-8", errors="replace") as file:
                lines = [line.strip() for line in file if line.startswith(("import ", "import\t"))]
            for line in lines:
                try:
                    tree = compile(line, name, "exec", _ast.PyCF_ONLY_AST, dont_inherit=True)
                except SyntaxError:
                    continue
                for node in nodes(tree):
                    yield from (base for base, _, _ in imported(node, ""))
                    if isinstance(node, _ast.Call) and getattr(node.func, "id", "") == "__import__":
                        yield from (one.value for one in node.args[:1] if isinstance(getattr(one, "value", None), str))


def loaded(path, package):
    """What a file imports; None where it does not compile."""
    if path not in known and path not in loads:
        found = compiled(path)
        loads[path] = sorted(set(imports(found[0], package))) if found else None
    return known[path][0] if path in known else loads[path]


def start():
    """The files that importing the modules loads."""
    waiting, seen, paths = [*FIRST, *of_every_start()], set(), set()
    for module, _, function in (one.partition(":") for one in MODULES):
        waiting.append(module)
        if function:
            waiting += gone_through(module, function)
    while waiting:
        name = waiting.pop()
        if not name or name in seen:
            continue
        seen.add(name)
        waiting += [name.rpartition(".")[0], *ASKED.get(name, [])]
        # A frozen module is read from the interpreter.
        path, is_package = (None, True) if _imp.is_frozen(name) else find(name)
        found = loaded(path, name if is_package else name.rpartition(".")[0]) if path else None
        if found is not None:
            paths.add(path)
            waiting.extend(found)
    return paths


def every():
    paths = set()
    for root in ROOTS:
        for directory, _, names in os.walk(IMAGE + root):
            paths.update(os.path.join(directory, name)[len(IMAGE):] for name in names if name.endswith(".py"))
    return paths


told, written = open("/work/told", "w"), open("/work/code", "wb")
for path in sorted(start() if MODE == "start" else every()):
    line = {"path": path, "outline": outlines.get(path)}
    if path in known:
        print(json.dumps(line), file=told)
    elif found := compiled(path):
        code, source = found
        objects = held(code, [])
        data = external._code_to_hash_pyc(code, importlib.util.source_hash(source), False)
        written.write(data)
        print(json.dumps({**line, "size_bytes": len(data), "imports": loads.get(path) or []}), file=told)
        del objects
    codes[path] = None
told.close()
written.close()
