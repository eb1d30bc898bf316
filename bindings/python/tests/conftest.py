"""Shared by all tests: a hook that runs coroutines as tests, and fixtures for the lab and its users."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab import Lab, User

# The time limit of a test, so that a test that would hang fails instead.
LIMIT_S = 60


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Runs a test that is a coroutine function on a new event loop."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in inspect.signature(pyfuncitem.obj).parameters}
    asyncio.run(asyncio.wait_for(pyfuncitem.obj(**arguments), LIMIT_S))
    return True


@pytest.fixture(scope="session")
def shared_lab() -> Iterator[Lab]:
    """A lab for all tests that do not change its state."""
    with Lab() as lab:
        yield lab


@pytest.fixture
def lab() -> Iterator[Lab]:
    """A new lab for one test, because the servers remember granted and revoked tokens."""
    with Lab() as lab:
        yield lab


@pytest.fixture
def user(shared_lab: Lab, tmp_path: Path) -> User:
    """A user of the shared lab, with an empty home."""
    return User(shared_lab, tmp_path)


@pytest.fixture
def own_user(lab: Lab, tmp_path: Path) -> User:
    """A user of a new lab, with an empty home."""
    return User(lab, tmp_path)
