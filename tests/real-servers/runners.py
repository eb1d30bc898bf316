"""The commands of the package runners npx and uvx, and an environment in which they do not touch the files of the user."""

import functools
import os
import re
import subprocess

# The variables that a package runner needs to reach its registry. A server gets no other variable of the caller, and so no key.
INHERITED = re.compile(r"PATH|LANG|.*_proxy|.*CERT.*|SSL_.*|npm_config_registry|UV_DEFAULT_INDEX", re.I)


def command_of(server, folder):
    """The command that starts a server, at its version."""
    arguments = [argument.replace("FOLDER", str(folder / "files")) for argument in server.get("args", [])]
    match server["command"]:
        case "npx":
            return ["npx", "-y", "%s@%s" % (server["package"], server["version"]), *arguments]
        case "uvx":
            return ["uvx", "%s==%s" % (server["package"], server["version"]), *arguments]


def install_of(server):
    """A command that installs the package into the cache of its runner and starts nothing."""
    match server["command"]:
        case "npx":
            return ["npx", "-y", "-p", "%s@%s" % (server["package"], server["version"]), "-c", "true"]
        case "uvx":
            return ["uvx", "--from", "%s==%s" % (server["package"], server["version"]), "python", "-c", ""]


@functools.cache
def registry():
    """The registry that the settings of the user name. The other settings have no effect on a server."""
    return subprocess.run(["npm", "config", "get", "registry"], check=True, capture_output=True, text=True).stdout.strip()


def environment(folder):
    """An environment with its own home folder and caches below `folder`."""
    env = {name: value for name, value in os.environ.items() if INHERITED.fullmatch(name)}
    own = {"HOME": "home", "TMPDIR": "tmp", "npm_config_cache": "npm", "UV_CACHE_DIR": "uv"}
    for name, value in own.items():
        (folder / value).mkdir(parents=True, exist_ok=True)
        env[name] = str(folder / value)
    env.setdefault("npm_config_registry", registry())
    return {**env, "npm_config_update_notifier": "false", "UV_PYTHON_DOWNLOADS": "never", "NO_COLOR": "1"}
