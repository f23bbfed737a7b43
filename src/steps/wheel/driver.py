"""Builds the source that /work/job.json describes, with its build backend (PEP 517).

/work/result.json gets one of these, and /work/log gets the output of the backend:

    {"requires": [...]}   the backend needs these requirements as well, and nothing was built
    {"metadata": TEXT}    the text of METADATA, if only that is wanted and the backend can make it without a wheel
    {"wheel": NAME}       the wheel is /work/out/NAME
    {"problem": TEXT}     the source cannot be built

An exception of the backend ends this program with 1.
"""

import importlib
import io
import itertools
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile

BUILD = "/build"


def unpack(archive):
    """Unpacks the source. Nothing is written outside of the folder."""
    # `zipfile.is_zipfile` would also accept a tar file that ends with a zip file.
    with open(archive, "rb") as file:
        is_zip = file.read(2) == b"PK"
    if is_zip:
        with zipfile.ZipFile(archive) as file:
            for entry in file.infolist():
                path = file.extract(entry, BUILD)
                mode = entry.external_attr >> 16 & 0o777
                if mode and not entry.is_dir():
                    os.chmod(path, mode | 0o600)
    else:
        with tarfile.open(archive) as file:
            extract(file, BUILD)


def extract(file, folder):
    """Unpacks a tar. Debian's Python 3.11.2 has no filters yet, but the sandbox protects all other folders."""
    if hasattr(tarfile, "data_filter"):
        file.extractall(folder, filter="data")
    else:
        file.extractall(folder)


def vendor(names):
    """Lays out the crates as a folder that cargo uses in place of its registry (the Cargo Book, "Source Replacement")."""
    folder = BUILD + "/.crates"
    os.makedirs(folder)
    for name, checksum in names.items():
        with tarfile.open("/run/lath-crates/" + name) as file:
            extract(file, folder)
        with open(f"{folder}/{name.removesuffix('.crate')}/.cargo-checksum.json", "w") as file:
            json.dump({"files": {}, "package": checksum}, file)
    os.makedirs(os.environ["CARGO_HOME"], exist_ok=True)
    with open(os.environ["CARGO_HOME"] + "/config.toml", "w") as file:
        file.write('[source.crates-io]\nreplace-with = "lath"\n[source.lath]\ndirectory = "%s"\n' % folder)


def finish(**result):
    with open("/work/result.json", "w") as file:
        json.dump(result, file)
    sys.stdout.flush()
    sys.stderr.flush()
    # A backend may have started threads that never end.
    os._exit(0)


def load(job, root):
    """Returns the backend, which is a module or an object in a module."""
    inside = [os.path.normpath(os.path.join(root, path)) for path in job["backend_path"]]
    for path in inside:
        if os.path.commonpath([path, root]) != root:
            finish(problem="`backend-path` leads outside of the source")
    sys.path[:0] = inside
    module, _, attributes = job["backend"].partition(":")
    backend = importlib.import_module(module)
    for attribute in filter(None, attributes.split(".")):
        backend = getattr(backend, attribute)
    return backend


def metadata(backend, settings):
    """Returns the text of METADATA, or None if the backend can only build a whole wheel."""
    hook = getattr(backend, "prepare_metadata_for_build_wheel", None)
    if hook is None:
        return None
    os.mkdir("/work/metadata")
    name = hook("/work/metadata", settings)
    with io.open(os.path.join("/work/metadata", name, "METADATA"), encoding="utf-8", errors="replace") as file:
        return file.read()


def main():
    with open("/work/job.json") as file:
        job = json.load(file)
    log = os.open("/work/log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.umask(0o022)
    # Backends build in temporary folders, and some write the path into the wheel. So the names are not random.
    tempfile._name_sequence = (f"lath{number:04}" for number in itertools.count())
    unpack(job["archive"])
    root = os.path.normpath(os.path.join(BUILD, job["folder"]))
    os.chdir(root)
    if job["crates"] is not None:
        vendor(job["crates"])
    if job["has_git"]:
        # The copy has no empty folders, and no index, because an index contains the times of the user's files. git needs
        # both, so they are made here.
        for folder in (".git/refs/heads", ".git/objects"):
            os.makedirs(os.path.join(job["repository"], folder), exist_ok=True)
        subprocess.run(["git", "reset", "-q"], check=True)
        # The copy lacks some tracked files, such as the lock. git must not count them as deleted, because tools such as
        # setuptools-scm give another version to a changed tree. In a subfolder, git would list only the files below it.
        in_repository = {"cwd": job["repository"], "check": True}
        left_out = subprocess.run(["git", "ls-files", "-d", "-z"], capture_output=True, **in_repository).stdout
        command = ["git", "update-index", "-z", "--skip-worktree", "--stdin"]
        subprocess.run(command, input=left_out, **in_repository)
    # `-c` puts the current folder first. It is removed, because a backend is not imported from there (PEP 517).
    sys.path[:] = [path for path in sys.path if path]
    sys.argv = ["lath"]
    backend = load(job, root)
    settings = job["settings"]
    hook = getattr(backend, "get_requires_for_build_wheel", None)
    wanted = hook(settings) if hook else []
    missing = [requirement for requirement in wanted if requirement not in job["requires"]]
    if missing:
        finish(requires=missing)
    if job["goal"] == "metadata":
        text = metadata(backend, settings)
        if text is not None:
            finish(metadata=text)
    os.mkdir("/work/out")
    name = backend.build_wheel("/work/out", settings)
    finish(wheel=os.path.basename(name))


main()
