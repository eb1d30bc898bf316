"""The files of the MCP clients on a machine: `discover` reports them, and `check` starts their servers."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from lab import HOME_VARIABLES, PROGRAM, Lab, User

import mcp_startup
from mcp_startup import (
    ClientScope,
    ClientServer,
    ClientTransport,
    ConfigurationError,
    McpServerStartupState,
    McpStartupError,
    NotChecked,
)


@pytest.fixture
def folder(shared_lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project of a user of Codex, Cursor and Windsurf."""
    home, folder = tmp_path / "home", tmp_path / "project"
    codex = home / ".codex"
    codex.mkdir(parents=True)
    user = User(shared_lab, codex).has("ready-stored-token")
    with user.config.open("a") as file:
        file.write(f'\n[mcp_servers.docs]\nurl = "{shared_lab.url("first-sign-in")}"\n')
        file.write(f'\n[mcp_servers.off]\nurl = "{shared_lab.url("ready")}"\nenabled = false\n')

    def write(path: Path, servers: dict[str, Any]) -> None:
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"mcpServers": servers}))

    write(home / ".cursor/mcp.json", {"docs": {"url": shared_lab.url("ready")}, "bad": {"url": "not a URL"}})
    write(folder / ".cursor/mcp.json", {"shared": {"url": shared_lab.url("server-500")}})
    windsurf = home / ".codeium/windsurf/mcp_config.json"
    windsurf.parent.mkdir(parents=True)
    windsurf.write_text('{"mcpServers": {\n')
    for name in ["CODEX_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "APPDATA"]:
        monkeypatch.delenv(name, raising=False)
    for name in HOME_VARIABLES:
        monkeypatch.setenv(name, str(home))
    return folder


async def test_discover_returns_what_the_program_prints(folder: Path) -> None:
    files = await mcp_startup.discover(folder=folder)
    printed = subprocess.run([*PROGRAM, "clients", "--format", "json"], cwd=folder, capture_output=True, text=True)
    expected = json.loads(printed.stdout)
    assert [file.client for file in files] == ["codex", "cursor", "cursor", "windsurf"]
    for file, of_program in zip(files, expected, strict=True):
        servers = of_program.pop("servers")
        error = of_program.pop("error")
        assert file.not_read == of_program.pop("notRead")
        assert [warning.to_dict() for warning in file.warnings] == of_program.pop("warnings")
        assert {name: getattr(file, name) for name in of_program} == of_program
        assert (file.error is None) == (error is None)
        for server, other in zip(file.servers, servers, strict=True):
            assert {name: getattr(server, name) for name in other} == other
    codex, _, project, windsurf = files
    assert codex.scope is ClientScope.USER and project.scope is ClientScope.PROJECT
    assert codex.servers[-1] == ClientServer(
        name="off", transport=ClientTransport.HTTP, enabled=False, checkable=True, why=None, approved=None
    )
    assert windsurf.servers == () and windsurf.error is not None and windsurf.error.line == 1
    assert "mcp_config.json" in windsurf.error.message


async def test_discover_reads_the_files_of_the_named_clients(folder: Path) -> None:
    async def clients(value: Any) -> list[str]:
        files = await mcp_startup.discover(folder=str(folder), clients=value)
        return list(dict.fromkeys(file.client for file in files))

    assert await clients(["windsurf", "codex"]) == ["windsurf", "codex"]
    assert await clients(("cursor",)) == ["cursor"]
    assert await clients("all") == ["codex", "cursor", "windsurf"]
    assert await clients([]) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"clients": "cursor"}, "`clients` must be `all` or a list of client IDs, not 'cursor'"),
        ({"clients": 7}, "`clients` must be `all` or a list of client IDs, not 7"),
        ({"clients": ["none"]}, '`clients[0]` must be the ID of a client, such as `claude-code`, not "none"'),
    ],
)
async def test_wrong_clients_are_rejected(arguments: Any, message: str) -> None:
    with pytest.raises(McpStartupError) as of_discover:
        await mcp_startup.discover(**arguments)
    with pytest.raises(McpStartupError) as of_check:
        await outcomes(**arguments)
    for raised in [of_discover, of_check]:
        assert (raised.value.code, str(raised.value)) == ("invalidArgument", f"the options: {message}")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mcp_servers": {}}, "exclude each other"),
        ({"clients": None, "trust_project": True, "mcp_servers": {}}, "apply only with `clients`"),
        ({"clients": None, "folder": ".", "mcp_servers": {}}, "apply only with `clients`"),
    ],
)
async def test_options_that_exclude_each_other_are_rejected(options: Any, message: str) -> None:
    with pytest.raises(McpStartupError, match=message) as raised:
        await outcomes(**options)
    assert raised.value.code == "invalidArgument"


async def outcomes(**options: Any) -> dict[str, bool]:
    """Starts servers of the clients. Returns for each whether it was ready."""
    given: Any = {"clients": "all", **options}
    events = [event.notification async for event in mcp_startup.check(**given)]
    closing = [event for event in events if event.status is not McpServerStartupState.STARTING]
    return {event.name: event.status is McpServerStartupState.READY for event in closing}


async def test_check_starts_the_servers_of_every_client_once(folder: Path) -> None:
    expected = {"bad": False, "codex:docs": False, "cursor:docs": True, "ready-stored-token": True}
    assert await outcomes(folder=folder) == expected
    assert await outcomes(folder=folder, clients=["cursor"]) == {"bad": False, "docs": True}
    assert await outcomes(folder=folder, clients=[]) == {}


async def test_trust_project_starts_the_servers_of_project_files(folder: Path) -> None:
    found = await outcomes(folder=folder, clients=["cursor"], trust_project=True)
    assert found == {"bad": False, "docs": True, "shared": False}
    with pytest.raises(McpStartupError, match="not approved in Cursor") as raised:
        await outcomes(folder=folder, servers=["shared"])
    assert raised.value.code == "invalidArgument"


async def test_not_checked_returns_what_a_check_leaves_out(folder: Path) -> None:
    left = await mcp_startup.not_checked(clients="all", folder=folder)
    assert left == [
        NotChecked(
            client="cursor",
            scope=ClientScope.PROJECT,
            path=str(folder / ".cursor/mcp.json"),
            name="shared",
            why="not approved in Cursor",
            needs_approval=True,
        )
    ]
    assert await mcp_startup.not_checked(clients="all", folder=folder, trust_project=True) == []
    assert await mcp_startup.not_checked(clients="all", folder=folder, servers=["shared"]) == left
    assert await mcp_startup.not_checked(mcp_servers={}) == []
    with pytest.raises(ConfigurationError) as raised:
        await mcp_startup.not_checked(clients="all", folder=folder, servers=["dosc"])
    assert raised.value.kind == "unknownServer"


async def test_servers_selects_servers_with_or_without_the_client(folder: Path) -> None:
    assert await outcomes(folder=folder, servers=["cursor:docs", "off"]) == {"docs": True, "off": True}
    assert await outcomes(folder=folder, servers=["docs"]) == {"codex:docs": False, "cursor:docs": True}
    assert await outcomes(folder=folder, servers=[]) == {}
    with pytest.raises(ConfigurationError, match="no client has a server `dosc`") as raised:
        await outcomes(folder=folder, servers=["dosc"])
    assert raised.value.kind == "unknownServer"


async def test_a_call_for_one_server_uses_the_sign_in_that_codex_stores(folder: Path) -> None:
    status = await mcp_startup.auth_status("ready-stored-token", clients="all", folder=folder)
    assert status.store == "file" and status.worth is not None
    with pytest.raises(McpStartupError, match="codex:docs, cursor:docs"):
        await mcp_startup.auth_status("docs", clients="all", folder=folder)


async def test_the_error_of_the_only_file_is_raised(folder: Path) -> None:
    with pytest.raises(ConfigurationError) as raised:
        await outcomes(folder=folder, clients=["windsurf"])
    assert raised.value.kind == "syntax"
