"""A run: how much of it, and what it needs: ours built for release, and what a user would pick instead, from its registry."""

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
    # How often each whole process is run, the sides in turn.
    runs: int
    # Only to see that it works: next to nothing of everything, from debug builds, and the peers that are installed in no time.
    tiny: bool
    build: bool
    # Of `lines`: only these languages.
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
        """Builds and installs; what is there already is looked at again, which takes no time."""
        if not self.build:
            return
        release = [] if self.tiny else ["--release"]
        self.say("building the program, the servers and the bare rmcp program")
        built = ["cargo", "build", "--quiet", "--locked", *release]
        subprocess.run([*built, "-p", "mcp-startup-cli", "--bins"], cwd=ROOT, check=True)
        subprocess.run([*built, "-p", "mcp-startup-core", "--example", "throughput"], cwd=ROOT, check=True)
        subprocess.run([*built, "--target-dir", TARGET / "bench"], cwd=ROOT / "bench", check=True)
        for script in ["verify-npm", "verify-wheel"]:
            self.say(f"scripts/{script} --build-only")
            subprocess.run([ROOT / "scripts" / script, "--build-only"], check=True, stdout=subprocess.DEVNULL)
        self.say("installing the peers and our packages")
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
        """Ours is where a program is that was built, beside the peers; the programs have to stand beside both."""
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
        """One whole process. It has to end well, and to say of so many servers that they are ready."""
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
        """A server in a process of its own, for as long as its stdin is open; gives its URL."""
        server = subprocess.Popen(
            [self.of_bench(program), *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        try:
            assert server.stdout is not None
            yield server.stdout.readline().strip()
        finally:
            server.communicate()


def last_line(command: list[str | Path]) -> dict[str, object]:
    """What a bench of another language prints: one line of JSON, after what it may say before."""
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    found: dict[str, object] = json.loads(done.stdout.strip().splitlines()[-1])
    return found
