"""What type checkers say of the package as it is installed, and of programs that use it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import mcp_startup

HERE = Path(__file__).parent
PACKAGE = Path(mcp_startup.__file__).parent
EXAMPLES = HERE.parent / "examples"


def passes(folder: Path, *command: str) -> None:
    # Not in this folder: what is checked is what is installed.
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def pyright(folder: Path, *include: Path) -> None:
    """Checks copies of these, strictly, as the oldest Python that is supported reads them."""
    for path in include:
        copy = shutil.copytree if path.is_dir() else shutil.copy
        copy(path, folder / path.name)
    settings = {
        "include": [path.name for path in include],
        "typeCheckingMode": "strict",
        "pythonVersion": "3.10",
        # The native module is used by the rest of its package.
        "reportPrivateUsage": "none",
    }
    (folder / "pyrightconfig.json").write_text(json.dumps(settings))
    passes(folder, "pyright", "--pythonpath", sys.executable)


@pytest.mark.parametrize("version", ["3.10", f"3.{sys.version_info.minor}"])
def test_mypy_accepts_the_package(tmp_path: Path, version: str) -> None:
    passes(tmp_path, "mypy", "--strict", "--python-version", version, "-p", "mcp_startup")


def test_pyright_accepts_the_package(tmp_path: Path) -> None:
    pyright(tmp_path, PACKAGE)


def test_the_stub_is_of_this_module(tmp_path: Path) -> None:
    passes(tmp_path, "mypy.stubtest", "mcp_startup")


def test_mypy_reads_the_calls_as_they_are_meant(tmp_path: Path) -> None:
    passes(tmp_path, "mypy", "--strict", "--python-version", "3.10", str(HERE / "typed_usage.py"))


def test_pyright_reads_the_calls_as_they_are_meant(tmp_path: Path) -> None:
    pyright(tmp_path, HERE / "typed_usage.py")


def test_the_examples_are_typed(tmp_path: Path) -> None:
    for example in sorted(EXAMPLES.glob("*.py")):
        passes(tmp_path, "mypy", "--strict", "--python-version", "3.10", str(example))


def test_what_type_checkers_need_is_not_needed_to_run(tmp_path: Path) -> None:
    """`typing_extensions` is known to every type checker, and need not be installed."""
    code = "import sys; sys.modules['typing_extensions'] = None; import mcp_startup"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)
