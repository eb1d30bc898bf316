"""Starts MCP servers and reports why a server did not start, as one typed answer.

    async for event in mcp_startup.check(config="~/.codex/config.toml"):
        if event.notification.failure_reason is mcp_startup.McpServerStartupFailureReason.REAUTHENTICATION_REQUIRED:
            show_reconnect(event.notification.name)

* Notifications: `decode`, `decode_lines`, `McpServerStatusUpdatedNotification`, `StartupTracker`.
* Starts: `check`, `watch`, `check_blocking`.
* Clients: `discover` finds the MCP clients on this machine, with their servers. `not_checked` returns those that a check leaves out.
* Authorization: `authorization` and `authorization_blocking` for the application's own requests, `sign_in`, `sign_in_blocking`,
  `begin_sign_in`, `finish_sign_in`, `sign_out`, `auth_status`.
* Stores: `PostgresStore` for the sign-ins of many users in PostgreSQL, `CredentialStore` for a custom store.
* Adapters: the modules `mcp_startup.httpx` and `mcp_startup.httpx2`, which are imported separately, authorize the requests of these
  packages.
* App-servers: the module `mcp_startup.app_server`, which is imported separately, has a client.
* Verdicts: `judge`, `assess`, `first_request`, `auth_status_of`.
"""

from __future__ import annotations

from . import _native
from ._clients import (
    ClientFile,
    ClientFileProblem,
    ClientScope,
    ClientServer,
    ClientTransport,
    NotChecked,
    discover,
)
from ._contract import (
    AppliedLines,
    DecodedLines,
    LineError,
    ServerKey,
    StartupTracker,
    TrackedServer,
    TrackerUpdate,
    decode_lines,
)
from ._engine import (
    AuthStatus,
    Check,
    Rejected,
    Revocation,
    SignInBegun,
    SignedOut,
    StartupEvent,
    StoreError,
    Watch,
    auth_status,
    authorization,
    authorization_blocking,
    begin_sign_in,
    check,
    check_blocking,
    finish_sign_in,
    not_checked,
    sign_out,
    test_credential_store,
    watch,
)
from ._errors import (
    ConfigurationError,
    CredentialStoreError,
    DecodeError,
    InsufficientScopeError,
    InvalidArgumentError,
    McpStartupError,
    SignInError,
    StartupFailedError,
)
from ._generated import (
    AccessTokenWorth,
    CertificateProblem,
    ClientSource,
    ConfigurationEvidence,
    CredentialEvidence,
    CredentialFacts,
    CredentialSent,
    CredentialSource,
    CredentialStoreTrouble,
    CredentialWorth,
    DecodeErrorKind,
    DiscoveryEvidence,
    DiscoveryOutcome,
    DiscoveryProblem,
    Evidence,
    ExceededLimit,
    FirstRequest,
    HeldSignInEvidence,
    HeldSignInState,
    IoTrouble,
    McpAuthRequiredReason,
    McpAuthStatus,
    McpServerConnectionStatus,
    McpServerStartupFailureReason,
    McpServerStartupState,
    ProcessEvidence,
    ProtocolEvidence,
    Recovery,
    RequestEvidence,
    RequestTarget,
    SpawnFailure,
    StartPhase,
    StartupFailure,
    StartupFailureKind,
    StartupWarning,
    StartupWarningKind,
    StoreEvidence,
    Transport,
)
from ._native import (
    METHOD,
    McpServerStatusUpdatedNotification,
    decode,
)
from ._options import (
    Options,
)
from ._sign_in import (
    sign_in,
    sign_in_blocking,
)
from ._store import (
    CredentialStore,
    Lease,
    LeaseState,
    PostgresStore,
)
from ._verdict import (
    assess,
    auth_required_reason,
    auth_status_of,
    first_request,
    judge,
)

__version__: str = _native.VERSION

__all__ = [
    "AccessTokenWorth",
    "AppliedLines",
    "AuthStatus",
    "Check",
    "CertificateProblem",
    "ClientFile",
    "ClientFileProblem",
    "ClientScope",
    "ClientServer",
    "ClientSource",
    "ClientTransport",
    "ConfigurationError",
    "ConfigurationEvidence",
    "CredentialEvidence",
    "CredentialFacts",
    "CredentialSent",
    "CredentialSource",
    "CredentialStore",
    "CredentialStoreError",
    "CredentialStoreTrouble",
    "CredentialWorth",
    "DecodeError",
    "DecodeErrorKind",
    "DecodedLines",
    "DiscoveryEvidence",
    "DiscoveryOutcome",
    "DiscoveryProblem",
    "Evidence",
    "ExceededLimit",
    "FirstRequest",
    "HeldSignInEvidence",
    "HeldSignInState",
    "InsufficientScopeError",
    "InvalidArgumentError",
    "IoTrouble",
    "Lease",
    "LeaseState",
    "LineError",
    "METHOD",
    "McpAuthRequiredReason",
    "McpAuthStatus",
    "McpServerConnectionStatus",
    "McpServerStartupFailureReason",
    "McpServerStartupState",
    "McpServerStatusUpdatedNotification",
    "McpStartupError",
    "NotChecked",
    "Options",
    "PostgresStore",
    "ProcessEvidence",
    "ProtocolEvidence",
    "Recovery",
    "Rejected",
    "RequestEvidence",
    "RequestTarget",
    "Revocation",
    "ServerKey",
    "SignInBegun",
    "SignInError",
    "SignedOut",
    "SpawnFailure",
    "StartPhase",
    "StartupEvent",
    "StartupFailedError",
    "StartupFailure",
    "StartupFailureKind",
    "StartupWarning",
    "StartupWarningKind",
    "StartupTracker",
    "StoreError",
    "StoreEvidence",
    "TrackedServer",
    "TrackerUpdate",
    "Transport",
    "Watch",
    "assess",
    "auth_required_reason",
    "auth_status",
    "auth_status_of",
    "authorization",
    "authorization_blocking",
    "begin_sign_in",
    "check",
    "check_blocking",
    "decode",
    "decode_lines",
    "discover",
    "finish_sign_in",
    "first_request",
    "judge",
    "not_checked",
    "sign_in",
    "sign_in_blocking",
    "sign_out",
    "test_credential_store",
    "watch",
]

# Publish every class under this module, so that pickles do not depend on private modules.
def _publish() -> None:
    for name in __all__:
        public = globals()[name]
        if isinstance(public, type) and public.__module__.startswith("mcp_startup."):
            public.__module__ = "mcp_startup"


_publish()
del _publish
