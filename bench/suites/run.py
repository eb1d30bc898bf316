"""A run of the benchmarks: its options, the builds of mcp-startup, and the alternatives, which are installed from their registries."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .rows import Sample

ROOT = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
PEERS = TARGET / "bench" / "peers"


@dataclass
class Run:
    # The number of runs of each whole process. The sides take turns.
    runs: int
    # Whether to measure as little as possible, with debug builds and without the alternatives that take long to install.
    tiny: bool
    build: bool
    # The languages of the suite `lines`. Empty for all.
    languages: list[str]

    @property
    def profile(self) -> str:
        return "debug" if self.tiny else "release"

    @property
    def program(self) -> Path:
        return TARGET / self.profile / "mcp-startup"

    def of_bench(self, program: str) -> Path:
        return TARGET / "bench" / self.profile / program

    @property
    def python(self) -> Path:
        return PEERS / "venv" / "bin" / "python"

    def say(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    def prepare(self) -> None:
        """Builds mcp-startup and installs the alternatives. This is quick if they are up to date."""
        if not self.build:
            return
        release = [] if self.tiny else ["--release"]
        self.say("building the program, the servers and the bare rmcp program")
        built = ["cargo", "build", "--quiet", "--locked", *release]
        # scripts/test has built the workspace with other features, and passes them to prevent a second build.
        selection = os.environ.get("MCP_STARTUP_SELECTION", "").split() if self.tiny else []
        subprocess.run([*built, *(selection or ["-p", "mcp-startup-cli"]), "--bins"], cwd=ROOT, check=True)
        example = ["--example", "throughput"]
        subprocess.run([*built, *(selection or ["-p", "mcp-startup-core"]), *example], cwd=ROOT, check=True)
        for package in ["mcp-startup-bench", "mcp-startup-bench-tls"]:
            subprocess.run([*built, "-p", package, "--target-dir", TARGET / "bench"], cwd=ROOT / "bench", check=True)
        for script in ["verify-npm", "verify-wheel"]:
            self.say(f"scripts/{script} --build-only")
            subprocess.run([ROOT / "scripts" / script, "--build-only"], check=True, stdout=subprocess.DEVNULL)
        self.say("installing the alternatives and the packages of mcp-startup")
        self.install_python()
        self.install_node()

    def install_python(self) -> None:
        if not self.python.exists():
            venv.create(PEERS / "venv", with_pip=True)
        pip = [self.python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        requirements = ROOT / "bench" / "peers" / "requirements.txt"
        subprocess.run([*pip, "--require-hashes", "--only-binary", ":all:", "-r", requirements], check=True)
        (wheel,) = (TARGET / "wheels").glob("*.whl")
        subprocess.run([*pip, "--no-deps", "--force-reinstall", wheel], check=True)

    def install_node(self) -> None:
        """Installs the alternatives, links the package `mcp-startup`, and copies the programs next to them, because they import both."""
        for file in ["package.json", "package-lock.json"]:
            shutil.copy(ROOT / "bench" / "peers" / file, PEERS)
        # Codex's package is 420 MB.
        without = ["--omit=optional"] if self.tiny else []
        subprocess.run(["npm", "ci", "--silent", "--no-fund", "--no-audit", *without], cwd=PEERS, check=True)
        for folder in ["peers", "ours"]:
            for program in (ROOT / "bench" / folder).glob("*.mjs"):
                shutil.copy(program, PEERS)
        link = PEERS / "node_modules" / "mcp-startup"
        link.unlink(missing_ok=True)
        link.symlink_to(ROOT / "bindings" / "node")

    @property
    def codex(self) -> Path | None:
        return next((PEERS / "node_modules" / "@openai").glob("codex-*/vendor/*/bin/codex"), None)

    def process(self, command: list[str | Path], ready: int = 0, environment: Mapping[str, str] | None = None) -> Sample:
        """Measures one whole process. It must exit with 0 and report at least `ready` servers as ready."""
        measured = [self.of_bench("measure"), *command]
        done = subprocess.run(
            measured, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
            env={**os.environ, **(environment or {})}, cwd=PEERS, check=False,
        )  # fmt: skip
        if done.returncode != 0 or done.stdout.lower().count("ready") < ready:
            raise SystemExit(f"{command} exited with {done.returncode}:\n{(done.stdout + done.stderr)[-2000:]}")
        usage = json.loads(done.stderr.splitlines()[-1])
        scale = 1 if platform.system() == "Darwin" else 1024
        return Sample(usage["wall"], usage["cpu"], usage["peak"] * scale / 1e6)

    @contextmanager
    def server(self, program: str, *arguments: str) -> Iterator[str]:
        """Runs a server in another process until the context ends, which closes its stdin. Yields its URL."""
        server = subprocess.Popen(
            [self.of_bench(program), *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        try:
            assert server.stdout is not None
            yield server.stdout.readline().strip()
        finally:
            server.communicate()


def last_line(command: list[str | Path]) -> dict[str, object]:
    """Runs the benchmark of another language and returns the last line of its output, which is JSON."""
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    result: dict[str, object] = json.loads(done.stdout.strip().splitlines()[-1])
    return result
