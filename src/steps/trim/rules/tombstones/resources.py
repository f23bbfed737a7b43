

# Written by lath. If a program opens a data file that lath removed from this image, the error also names the rule that
# removed it, and the option that keeps it. Everything else is the same as without these lines.
_Path, _from_package = type(pathlib.Path()), from_package


class PosixPath(_Path):
    __slots__ = ()

    def open(self, *args, **kwargs):
        try:
            return super().open(*args, **kwargs)
        except FileNotFoundError as error:
            _explain(error)
            raise

    # A copy in another process is an ordinary path.
    def __reduce__(self):
        return _Path, tuple(self.parts)


def from_package(package):
    found = _from_package(package)
    return PosixPath(found) if type(found) is _Path else found


def _explain(error):
    try:
        from importlib._lath import explain
    except ImportError:
        return
    explain(error)
