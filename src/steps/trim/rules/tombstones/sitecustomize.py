# Written by lath. If a program imports a module that lath removed from this image, the error also names the rule that
# removed it, and the option that keeps it. Everything else about the error is the same as without this file.
import sys

# One module per line, with the rule and the option.
REMOVED = """
"""


class Removed:
    # Python uses the finders in the order of the list. A program may add others after this one.
    def find_spec(self, name, path=None, target=None):
        begin = REMOVED.find(f"\n{name} ")
        if begin < 0:
            return None
        # If a program only searches for a module, without an import, there is no error.
        imports = sys._getframe(1).f_back
        if imports is None or imports.f_code.co_name != "_find_and_load_unlocked":
            return None
        finders = sys.meta_path
        for finder in finders[finders.index(self) + 1 :] if self in finders else []:
            search = getattr(finder, "find_spec", None)
            spec = search(name, path, target) if search else None
            if spec is not None:
                return spec
        _, rule, option = REMOVED[begin + 1 :].split("\n", 1)[0].split(" ", 2)
        reason = f"lath removed it from this image by the rule {rule}: build the image with `{option}` to keep it"
        # The frames of Python's functions `_find_and_load`, `_call_with_frames_removed` and `_handle_fromlist`.
        caller = imports.f_back.f_back
        # An extension module or a program that embeds Python can import without a frame of its own.
        names = caller.f_back if caller else None
        if names is None or names.f_code.co_name != "_handle_fromlist":
            raise ModuleNotFoundError(f"No module named {name!r}. {reason}", name=name)
        if is_statement(names.f_back):
            package, _, module = name.rpartition(".")
            file = getattr(sys.modules.get(package), "__file__", None)
            place = file or "unknown location"
            names = {"name_from": module} if sys.version_info >= (3, 12) else {}
            message = f"cannot import name {module!r} from {package!r} ({place}). {reason}"
            raise ImportError(message, name=package, path=file, **names)
        return None


# Whether a frame executes a statement `from package import name`. A call of `__import__` with such names is no error.
def is_statement(frame):
    from opcode import opmap

    return frame is not None and frame.f_code.co_code[frame.f_lasti] == opmap["IMPORT_NAME"]


# Python leaves its own frames out of the traceback of a failed import, and programs look at the number of frames. This
# name does the same with the frame of this function.
Removed.find_spec.__code__ = Removed.find_spec.__code__.replace(co_filename="<frozen importlib._bootstrap>")
sys.meta_path.append(Removed())
