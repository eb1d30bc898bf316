"""Installs the SDKs: a folder for each version, and the command that starts a server from it."""
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

HERE = Path(__file__).resolve().parent
SERVERS = HERE / "servers"

# The packages of the registries by SDK: PACKAGE is the one that the version belongs to.
PACKAGE = {
    "python-mcp": "mcp",
    "python-fastmcp": "fastmcp",
    "npm-sdk": "@modelcontextprotocol/sdk",
    "npm-server": "@modelcontextprotocol/server",
    "npm-fastmcp": "fastmcp",
    "npm-hono": "@hono/mcp",
    "go-mcp-go": "github.com/mark3labs/mcp-go",
    "go-sdk": "github.com/modelcontextprotocol/go-sdk",
    "rust-rmcp": "rmcp",
    "java-sdk": "io.modelcontextprotocol.sdk:mcp",
    "strict": None,
}
REGISTRY = {"python": "PyPI", "npm": "npm", "go": "Go", "rust": "crates.io", "java": "Maven Central", "strict": "none"}
TOOLS = {"python": [], "strict": [], "npm": ["node", "npm"], "go": ["go"], "rust": ["cargo"], "java": ["java", "javac", "mvn"]}

# @modelcontextprotocol/node has its own versions.
NODE_ADAPTERS = {"2.0.0": "2.0.0", "2.1.0": "2.1.0", "2.2.0": "2.1.0", "2.3.1": "2.1.1", "2.4.0": "2.1.2"}
LIMIT = 900  # the time limit of a command, in seconds


class NotInstalled(Exception):
    """The version can't be installed here. The message is the reason."""


def language(sdk):
    return sdk.partition("-")[0]


def missing_tool(sdk):
    return next((tool for tool in TOOLS[language(sdk)] if not shutil.which(tool)), None)


def number(version):
    return tuple(int(part) for part in version.removeprefix("v").partition("+")[0].split("."))


class Installer:
    """Installs below `target`. The folder of a version has the file `.installed` if its installation is complete."""

    def __init__(self, target, stop):
        self.target, self.stop = target, stop
        self.cargo = threading.Lock()  # cargo locks its folder of builds, and would wait without telling

    def folder(self, sdk, version):
        return self.target / "installed" / sdk / version

    def is_current(self, sdk, version, transports):
        """Whether the version is installed from the present sources."""
        mark = self.folder(sdk, version) / ".installed"
        return sdk == "strict" or mark.exists() and mark.read_text() == self.mark(sdk, transports)

    def install(self, sdk, version, transports):
        """Returns the folder."""
        folder = self.folder(sdk, version)
        if not self.is_current(sdk, version, transports):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            mark = self.mark(sdk, transports)
            getattr(self, language(sdk))(folder, sdk, version, mark.endswith("http"))
            (folder / ".installed").write_text(mark)
        return folder

    def mark(self, sdk, transports):
        # rmcp needs more for HTTP, and the small set does not use it.
        return "%s %s" % (self.sources(sdk), "http" if sdk == "rust-rmcp" and transports != {"stdio"} else "")

    def remove(self, sdk, version):
        shutil.rmtree(self.folder(sdk, version), ignore_errors=True)

    @staticmethod
    def sources(sdk):
        """A number that changes with the sources that are built or copied during the installation."""
        files = [HERE / "install.py"] + sorted(path for path in (SERVERS / language(sdk)).rglob("*") if path.is_file())
        return "%08x" % (hash_of(b"".join(path.read_bytes() for path in files)))

    def run(self, folder, *command, **variables):
        """Runs a command of the installation. Its output is in install.log of the folder."""
        log = folder / "install.log"
        with log.open("ab") as output:
            output.write(("$ %s\n" % " ".join(map(str, command))).encode())
            output.flush()
            process = subprocess.Popen(list(map(str, command)), cwd=folder, env={**os.environ, **variables}, stdin=subprocess.DEVNULL,
                                       stdout=output, stderr=output, start_new_session=True)
            self.stop.add(process.pid)
            try:
                code = process.wait(LIMIT)
            except subprocess.TimeoutExpired:
                self.stop.end(process.pid)
                process.wait()
                raise NotInstalled("%s did not finish within %d s" % (Path(command[0]).name, LIMIT)) from None
            finally:
                self.stop.remove(process.pid)
        if code:
            raise NotInstalled("%s failed: %s" % (Path(command[0]).name, cause(log.read_text(errors="replace"))))

    # One method for each language.

    def python(self, folder, sdk, version, _):
        version, _, dependency = version.partition("+mcp")
        requirements = ["%s==%s" % (PACKAGE[sdk], version)]
        if dependency:
            requirements.append("mcp==%s" % dependency)
        if dependency or sdk == "python-mcp" and (1, 2) <= number(version) < (1, 21):
            requirements.append("pydantic<2.12")  # these versions fail with later ones
        if sdk == "python-mcp" and number(version) < (1, 2):
            requirements.append("uvicorn")  # these versions do not depend on a web server
        pip = ["install", "--quiet", "--disable-pip-version-check", "--no-input", "--prefer-binary"]
        if subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True).returncode == 0:
            self.run(folder, sys.executable, "-m", "venv", "--without-pip", "venv")
            self.run(folder, sys.executable, "-m", "pip", "--python", "venv/bin/python", *pip, *requirements)
        else:
            self.run(folder, sys.executable, "-m", "venv", "venv")
            self.run(folder, "venv/bin/python", "-m", "pip", *pip, *requirements)

    def npm(self, folder, sdk, version, _):
        dependencies = {PACKAGE[sdk]: version}
        if sdk == "npm-server":
            dependencies.update({"@modelcontextprotocol/node": NODE_ADAPTERS[version], "zod": "^4.2.0", "hono": "^4.11.4"})
        elif sdk == "npm-fastmcp":
            dependencies["zod"] = "^4.1.13"
        elif sdk == "npm-hono":
            dependencies.update({"@modelcontextprotocol/sdk": "^1.29.0", "@hono/node-server": "^1.19.9", "hono": "^4.11.4",
                                 "hono-rate-limiter": "^0.5.3", "zod": "^4.1.13"})
        (folder / "package.json").write_text(json.dumps({"private": True, "type": "module", "dependencies": dependencies}))
        self.run(folder, "npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error")
        for source in (SERVERS / "npm").iterdir():
            shutil.copy(source, folder)

    def go(self, folder, sdk, version, _):
        if sdk == "go-sdk":
            sources = ["main.go", "v0.go" if number(version) < (1,) else "v1.go", "modern.go" if number(version) >= (1, 8) else "before_modern.go"]
        else:
            sources = ["main.go", "sse_first.go" if number(version) < (0, 20) else "sse.go",
                       "no_http.go" if number(version) < (0, 32) else "http_first.go" if number(version) < (0, 45) else "http.go"]
        for source in sources:
            shutil.copy(SERVERS / "go" / sdk.removeprefix("go-").replace("sdk", "go-sdk") / source, folder)
        (folder / "go.mod").write_text("module server\n\ngo 1.23\n\nrequire %s %s\n" % (PACKAGE[sdk], version))
        variables = {"GOFLAGS": "-mod=mod", "GOWORK": "off", "GOTOOLCHAIN": "auto"}
        self.run(folder, "go", "build", "-o", "server", ".", **variables)

    def rust(self, folder, sdk, version, http):
        kind = "v3" if number(version) >= (3,) else "v0_8" if (0, 2) <= number(version) < (1,) else "v0_1" if number(version) < (0, 2) else ""
        over_http = [] if kind == "v0_1" else ["dep:axum", "rmcp/transport-streamable-http-server"]
        if kind == "v0_8":
            over_http.append("rmcp/transport-sse-server")
        # Before 1.0, the SDK does not build without its default features.
        features = ["server", "transport-io"] + (["base64", "macros"] if kind.startswith("v0") else [])
        name = "server-" + version.replace(".", "-")
        (folder / "Cargo.toml").write_text("""\
[package]
name = "%s"
version = "0.0.0"
edition = "2024"

[workspace]

[features]
v0_1 = []
v0_8 = []
v3 = []
http = %s

[dependencies]
rmcp = { version = "=%s", default-features = false, features = %s }
axum = { version = "0.8", optional = true, default-features = false, features = ["http1", "tokio"] }
serde_json = "1"
tokio = { version = "1", features = ["rt", "macros", "net", "io-std"] }

[profile.dev]
debug = false
incremental = false
""" % (name, json.dumps(over_http), version, json.dumps(features)))
        (folder / "src").mkdir()
        shutil.copy(SERVERS / "rust" / "main.rs", folder / "src")
        selected = ",".join(filter(None, [kind, "http" if http else ""]))
        with self.cargo:
            self.run(folder, "cargo", "build", "--quiet", "--features", selected, CARGO_TARGET_DIR=str(self.target / "cargo"), CARGO_TERM_COLOR="never")
        shutil.copy(self.target / "cargo" / "debug" / name, folder / "server")

    def java(self, folder, sdk, version, _):
        group, _, artifact = PACKAGE[sdk].partition(":")
        jetty = "<dependency><groupId>org.eclipse.jetty.ee10</groupId><artifactId>jetty-ee10-servlet</artifactId><version>12.0.16</version></dependency>"
        (folder / "pom.xml").write_text("""\
<project xmlns="http://maven.apache.org/POM/4.0.0">
<modelVersion>4.0.0</modelVersion><groupId>compatibility</groupId><artifactId>server</artifactId><version>1</version>
<dependencies><dependency><groupId>%s</groupId><artifactId>%s</artifactId><version>%s</version></dependency>%s</dependencies>
</project>
""" % (group, artifact, version, jetty))
        self.run(folder, "mvn", "--batch-mode", "--quiet", "dependency:copy-dependencies", "-DoutputDirectory=lib", "-DincludeScope=runtime")
        self.run(folder, "javac", "-cp", "lib/*", "-d", "classes", SERVERS / "java" / "Server.java")


def command(folder, sdk):
    """The command that starts a server of the SDK, without its arguments."""
    kind = language(sdk)
    if kind == "strict":
        return [sys.executable, "-IS", SERVERS / "python" / "strict.py"]
    if kind == "python":
        version = number(folder.name)
        script = "fastmcp_server.py" if sdk == "python-fastmcp" else "mcp2.py" if version >= (2,) else "mcp1.py"
        return [folder / "venv/bin/python", SERVERS / "python" / script]
    if kind == "npm":
        return [shutil.which("node"), folder / (sdk.removeprefix("npm-") + ".mjs")]
    if kind == "java":
        return [shutil.which("java"), "-XX:TieredStopAtLevel=1", "-cp", "%s:%s/*" % (folder / "classes", folder / "lib"), "Server"]
    return [folder / "server"]


def hash_of(data):
    import zlib
    return zlib.crc32(data)


def cause(log):
    """The line of the output that tells best why a command failed."""
    lines = [line.strip() for line in log.splitlines() if line.strip() and not line.startswith("$ ")]
    errors = [line for line in lines if line.lower().startswith(("error", "npm err", "npm error", "[error]", "fatal"))]
    return (errors or lines or ["no output"])[0][:200]


def versions():
    """The versions of the tools, for the page."""
    found = {"Python": sys.version.split()[0]}
    for name, tool, *arguments in (("Node.js", "node", "--version"), ("Go", "go", "version"), ("Rust", "rustc", "--version"), ("Java", "java", "--version")):
        if shutil.which(tool):
            out = subprocess.run([tool, *arguments], capture_output=True, text=True).stdout.split()
            found[name] = next((word.removeprefix("go").removeprefix("v") for word in out if any(map(str.isdigit, word)) and "." in word), "?")
    return found
