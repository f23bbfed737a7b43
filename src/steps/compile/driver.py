"""Compiles the Python files of the image below IMAGE that are listed in /work/files.json.

    driver.py IMAGE

/work/code gets the bytecode of all files, one after the other. /work/sizes.json gets the size of each bytecode in bytes,
in the order of the list. A size is null if the file cannot be compiled.

A file's bytecode must depend on this file alone, although all files are compiled in one process:

- marshal writes an object in another way if there are other references to it, and files share objects such as names.
  Therefore this script holds a reference to every object of a file while it writes the file.
- The compiler makes two objects of a set that occurs twice, if another file that is in memory contains the same strings.
  Therefore only one file is in memory.
- marshal also writes whether a string is interned, and the whole process shares the strings of one character. Python
  interns `*` if it compiles a star import, and brackets if it writes JSON. Other strings of this kind are names, which
  are always interned. Therefore this script interns these characters before it compiles the first file.
"""

import gc
import importlib._bootstrap_external as external
import importlib.util
import json
import sys

IMAGE = sys.argv[1]
CODE = type((lambda: None).__code__)


def hold(code, held):
    """Adds all objects in the bytecode `code` to the list `held`."""
    for part in (code.co_consts, code.co_names, code.co_varnames, code.co_cellvars, code.co_freevars):
        held.append(part)
        held += part
    held += (code, code.co_filename, code.co_name, getattr(code, "co_qualname", None))
    held.append(code.co_linetable if hasattr(code, "co_linetable") else code.co_lnotab)
    hold_constants(code.co_consts, held)


def hold_constants(constants, held):
    for constant in constants:
        if isinstance(constant, CODE):
            hold(constant, held)
        elif isinstance(constant, (tuple, frozenset)):
            held += constant
            hold_constants(constant, held)


def bytecode(path):
    """Returns the contents of the .pyc of a file, or None if it cannot be compiled."""
    try:
        with open(IMAGE + path, "rb") as file:
            source = file.read()
        code = compile(source, path, "exec", dont_inherit=True)
    except (SyntaxError, ValueError, OSError, RecursionError):
        return None
    held = []
    hold(code, held)
    data = external._code_to_hash_pyc(code, importlib.util.source_hash(source), False)
    del held
    return data


gc.disable()  # The garbage collector would find almost nothing, and would take long.
for character in "*[]{}":
    sys.intern(character)
with open("/work/files.json") as file:
    paths = json.load(file)
sizes = []
with open("/work/code", "wb") as written:
    for path in paths:
        data = bytecode(path)
        written.write(data or b"")
        sizes.append(len(data) if data else None)
with open("/work/sizes.json", "w") as file:
    json.dump(sizes, file)
