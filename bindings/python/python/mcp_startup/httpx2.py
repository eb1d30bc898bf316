"""Authorizes requests of the package `httpx2` with the stored credentials of a server. `pip install mcp-startup[httpx2]` installs both."""

from __future__ import annotations

import httpx2

from ._stored_auth import StoredAuth


class StartupAuth(StoredAuth, httpx2.Auth):
    """The `auth` of a `httpx2.Client` or a `httpx2.AsyncClient`, for the requests to one server.

        client = httpx2.AsyncClient(auth=StartupAuth("linear", config="~/.codex/config.toml"))

    It sends the configured or the stored credentials. An expired token is refreshed before the request. If the server answers 401, the
    token is refreshed, and the request is sent again, unless its body is a stream. It uses the same store, lock and refresh as a start.

    Only requests to the origin of the server get the header. The client removes it if a redirect leads to another origin, except from
    HTTP to HTTPS on the same host.

    Raises:
        StartupFailedError: From the request, if no credential is left to try. Its `failure` is the verdict.
        InsufficientScopeError: From the request, if the server requires more scopes. Sign in with its `challenge`.
    """

    _not_read = httpx2.RequestNotRead
