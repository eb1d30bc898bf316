"""Type checkers accept the installed package and programs that use it."""

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
    # Run in another folder, so that the installed package is checked and not the sources.
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def pyright(folder: Path, *include: Path) -> None:
    """Checks copies of these paths in strict mode for the oldest supported Python version."""
    for path in include:
        copy = shutil.copytree if path.is_dir() else shutil.copy
        copy(path, folder / path.name)
    settings = {
        "include": [path.name for path in include],
        "typeCheckingMode": "strict",
        "pythonVersion": "3.10",
        # The rest of the package uses its private native module.
        "reportPrivateUsage": "none",
    }
    (folder / "pyrightconfig.json").write_text(json.dumps(settings))
    passes(folder, "pyright", "--pythonpath", sys.executable)


@pytest.mark.parametrize("version", ["3.10", f"3.{sys.version_info.minor}"])
def test_mypy_accepts_the_package(tmp_path: Path, version: str) -> None:
    passes(tmp_path, "mypy", "--strict", "--python-version", version, "-p", "mcp_startup")


def test_pyright_accepts_the_package(tmp_path: Path) -> None:
    pyright(tmp_path, PACKAGE)


def test_the_stub_matches_the_native_module(tmp_path: Path) -> None:
    passes(tmp_path, "mypy.stubtest", "mcp_startup")


def test_mypy_infers_the_types_of_the_main_calls(tmp_path: Path) -> None:
    passes(tmp_path, "mypy", "--strict", "--python-version", "3.10", str(HERE / "typed_usage.py"))


def test_pyright_infers_the_types_of_the_main_calls(tmp_path: Path) -> None:
    pyright(tmp_path, HERE / "typed_usage.py")


def test_mypy_accepts_the_examples(tmp_path: Path) -> None:
    for example in sorted(EXAMPLES.glob("*.py")):
        passes(tmp_path, "mypy", "--strict", "--python-version", "3.10", str(example))


def test_typing_extensions_is_not_needed_at_run_time(tmp_path: Path) -> None:
    """Type checkers know `typing_extensions` even if it is not installed."""
    code = "import sys; sys.modules['typing_extensions'] = None; import mcp_startup"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)
