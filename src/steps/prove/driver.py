# Imports modules, and entry points in the form `MODULE:ATTRIBUTE`, like console scripts. The first name in ATTRIBUTE may
# be a module that nothing has imported yet. Loads libraries by path, and reads a file if there is `<` before its path.
# Reports each item at once, as `NUMBER ERROR`.
# An error lists the libraries that `ctypes` did not find before the error, because most messages do not name them exactly.
# The output of the items is discarded, and a thread that they leave running does not delay the end. If the first argument is
# `+SECONDS`, each item may use this much processor time, and 25 seconds more of real time, because a busy machine is slow.
# An item that exceeds this ends the process. With this argument, the file of each module must also exist. The reason:
# a package without its `__init__.py` can still be imported, and Python has a frozen copy of some modules. A
# `__main__` is not imported, because it would do its whole work. Only its code is read.
#
# This program imports nothing that trim may remove, because it must do the same in both trees. It loads a library like an
# extension module, with a name that the library does not have. So no code of an extension module runs, and `ctypes` is
# not needed.
import _imp, importlib.util, operator, os, sys
from importlib.machinery import ModuleSpec, PathFinder
items, sys.argv[1:] = sys.argv[1:], []
limit = int(items.pop(0)) if items[0].startswith("+") else 0
sys.path[:1] = [] if sys.path[:1] == [""] else sys.path[:1]
missed = []
def record(module):
    find = module.find_library
    def find_library(name):
        found = find(name)
        if not found:
            missed.append(str(name))
        return found
    module.find_library = find_library
class Recorder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        spec = PathFinder.find_spec(name, path) if name == "ctypes.util" else None
        if spec and spec.loader:
            run = spec.loader.exec_module
            spec.loader.exec_module = lambda module: (run(module), record(module))
        return spec
if "ctypes.util" in sys.modules:
    record(sys.modules["ctypes.util"])
else:
    sys.meta_path.insert(0, Recorder)
def load(path):
    try:
        _imp.create_dynamic(ModuleSpec("lath_loads_it", None, origin=path))
    except ImportError as error:
        if "does not define module export function" not in str(error):
            raise
def read(name):
    spec = importlib.util.find_spec(name)
    if spec is None:
        raise ModuleNotFoundError(f"No module named {name!r}")
    spec.loader.get_code(name)
def find_file(name):
    file = getattr(sys.modules.get(name), "__file__", None)
    if file is None or not os.path.exists(file):
        raise ImportError(f"the module {name!r} has no file")
out = os.fdopen(os.dup(1), "w", encoding="utf-8", errors="replace")
null = os.open(os.devnull, os.O_WRONLY)
os.dup2(null, 1)
os.dup2(null, 2)
def end(*_):
    print(number, "no end within its time", file=out, flush=True)
    os._exit(0)
if limit:
    import _signal
    _signal.signal(_signal.SIGPROF, end)
    _signal.signal(_signal.SIGALRM, end)
for number, item in enumerate(items):
    said = ""
    if limit:
        _signal.setitimer(_signal.ITIMER_PROF, limit)
        _signal.alarm(limit + 25)
    try:
        if item.startswith("/"):
            load(item)
        elif item.startswith("<"):
            with open(item[1:], "rb") as file:
                file.read(1)
        elif limit and item.endswith(".__main__"):
            read(item)
        else:
            module, _, attribute = item.partition(":")
            imported = __import__(module, fromlist=[attribute.partition(".")[0]] if attribute else [])
            if attribute:
                operator.attrgetter(attribute)(imported)
            if limit:
                find_file(module)
    except BaseException as error:
        said = f"{type(error).__name__}: {error}"
        is_of_library = isinstance(error, (ImportError, OSError)) or "lib" in said.lower()
        if missed and is_of_library and not isinstance(error, ModuleNotFoundError):
            said += f" (ctypes did not find: {', '.join(dict.fromkeys(missed))})"
    print(number, " ".join(said.split()), file=out, flush=True)
os._exit(0)
