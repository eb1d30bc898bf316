"""What the tests share: coroutines as tests, and the lab."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab import Lab, User

# A test that waits for what never comes fails, and does not hang.
LIMIT_S = 60


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Runs a test that is a coroutine on a loop of its own."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in inspect.signature(pyfuncitem.obj).parameters}
    asyncio.run(asyncio.wait_for(pyfuncitem.obj(**arguments), LIMIT_S))
    return True


@pytest.fixture(scope="session")
def shared_lab() -> Iterator[Lab]:
    """The lab, for tests that change nothing in it."""
    with Lab() as lab:
        yield lab


@pytest.fixture
def lab() -> Iterator[Lab]:
    """A lab of the test's own: its servers remember what was granted and revoked."""
    with Lab() as lab:
        yield lab


@pytest.fixture
def user(shared_lab: Lab, tmp_path: Path) -> User:
    """Somebody whose home is empty."""
    return User(shared_lab, tmp_path)


@pytest.fixture
def own_user(lab: Lab, tmp_path: Path) -> User:
    """The same, with a lab of the test's own."""
    return User(lab, tmp_path)
