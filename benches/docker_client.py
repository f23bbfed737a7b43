"""The docker client of the benches."""
import os
import shutil
import subprocess
import sys


def buildkit_client():
    """Returns a docker client that builds with BuildKit: a client that has the plugin buildx, or a client before version 23,
    which needs no plugin."""
    for client in dict.fromkeys(filter(None, [shutil.which("docker"), "/usr/bin/docker", "/usr/local/bin/docker"])):
        if not os.access(client, os.X_OK):
            continue
        has_plugin = not subprocess.run([client, "buildx", "version"], capture_output=True).returncode
        version = subprocess.run([client, "version", "-f", "{{.Client.Version}} {{.Server.Version}}"],
                                 capture_output=True, text=True)
        if version.returncode:
            sys.exit(f"needs a Docker engine that answers: {version.stderr.strip()}")
        if has_plugin or int(version.stdout.split(".")[0]) < 23:
            return client
    sys.exit("needs a docker client that can build with BuildKit: the buildx plugin, or a client older than 23")
