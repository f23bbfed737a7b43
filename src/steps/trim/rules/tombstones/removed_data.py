# Written by lath. `importlib.resources` imports this file if a data file is missing.

# One removed file or folder per line, with the rule and the option.
REMOVED = """
"""


# Adds the reason to the error if lath removed the file, or a folder that contains it.
def explain(error):
    path = str(error.filename)
    while len(path) > 1:
        begin = REMOVED.find(f"\n{path} ")
        if begin >= 0:
            rule, option = REMOVED[begin + len(path) + 2 :].split("\n", 1)[0].split(" ", 1)
            error.strerror += f". lath removed it from this image by the rule {rule}: build the image with `{option}` to keep it"
            return
        path = path.rpartition("/")[0]
