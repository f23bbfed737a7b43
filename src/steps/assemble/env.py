"""Runs a program by its name, like env(1) of coreutils, which this image does not contain.

    env [-i] [-0] [-u NAME] [-C DIRECTORY] [-S WORDS] [NAME=VALUE]... [PROGRAM [ARGUMENT]...]

Scripts that begin with `#!/usr/bin/env python3` need it. Python starts it without its library (`-IS`), so that it costs
little.
"""
import _signal
import posix
import sys


def fail(text, code=125):
    print("env: " + text, file=sys.stderr)
    sys.stderr.flush()
    posix._exit(code)


def words_of(text):
    import shlex

    return shlex.split(text, comments=True)


def options(arguments, environment):
    """Carries out the options at the beginning of `arguments`, removes them, and returns the separator for output."""
    separator = b"\n"
    with_value = {"-u": "--unset", "-C": "--chdir", "-S": "--split-string"}
    while arguments and arguments[0].startswith("-"):
        option = arguments.pop(0)
        if option == "--":
            break
        if option in ("-", "-i", "--ignore-environment"):
            environment.clear()
            continue
        if option in ("-0", "--null"):
            separator = b"\0"
            continue
        name, is_given, value = option.partition("=")
        if not option.startswith("--"):
            name, is_given, value = with_value.get(option[:2], option), option[2:], option[2:]
        if name not in with_value.values():
            fail(f"cannot use the option {option!r}: only -i, -0, -u, -C and -S are supported")
        if not is_given:
            if not arguments:
                fail(f"the option {option!r} needs a value")
            value = arguments.pop(0)
        if name == "--unset":
            environment.pop(value, None)
        elif name == "--chdir":
            try:
                posix.chdir(value)
            except OSError as error:
                fail(f"cannot change to {value!r}: {error.strerror}")
        else:
            arguments[:0] = words_of(value)
    return separator


def run(arguments, environment):
    program = arguments[0]
    path = environment.get("PATH", "/bin:/usr/bin")
    candidates = [program] if "/" in program else [(folder or ".") + "/" + program for folder in path.split(":")]
    # Python ignores these signals; a program expects the system's default.
    _signal.signal(_signal.SIGPIPE, _signal.SIG_DFL)
    _signal.signal(_signal.SIGXFSZ, _signal.SIG_DFL)
    reason, code = "No such file or directory", 127
    for candidate in candidates:
        try:
            posix.execve(candidate, arguments, environment)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            reason, code = error.strerror, 126
    fail(f"cannot run {program!r}: {reason}", code)


def main():
    def text(value):
        return value.decode(sys.getfilesystemencoding(), "surrogateescape")

    arguments = sys.argv[1:]
    environment = {text(name): text(value) for name, value in posix.environ.items()}
    separator = options(arguments, environment)
    while arguments and "=" in arguments[0]:
        name, _, value = arguments.pop(0).partition("=")
        environment[name] = value
    if arguments:
        run(arguments, environment)
    for name, value in environment.items():
        line = f"{name}={value}".encode(sys.getfilesystemencoding(), "surrogateescape")
        sys.stdout.buffer.write(line + separator)


main()
