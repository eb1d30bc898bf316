"""The exception of the client."""

from __future__ import annotations

from typing import Any

from .._errors import McpStartupError

_UNKNOWN_METHOD = (-32600, -32601, -32602)
_OVERLOADED = -32001


class AppServerError(McpStartupError):
    """Raised if the app-server can't be started, ends, does not answer in time, or answers with an error.

    Decide by `kind`, `rpc_code` and `reason`, and not by the message.
    """

    code = "appServer"

    def __init__(self, message: str, kind: str = "response", rpc_code: int | None = None, data: Any = None) -> None:
        super().__init__(message, kind, rpc_code, data)

    def __hash__(self) -> int:
        # `data` may be a dictionary.
        return hash((type(self), self.args[:3]))

    @property
    def kind(self) -> str:
        """The cause, as a stable value: `notStarted`, `ended`, `timeout`, `response` (the app-server answered with an error) or
        `invalidResponse` (its result does not fit the protocol)."""
        return str(self.args[1])

    @property
    def rpc_code(self) -> int | None:
        """The code of the error response (JSON-RPC 2.0, section 5.1); `None` if there was none."""
        code: int | None = self.args[2]
        return code

    @property
    def data(self) -> Any:
        """The `data` of the error response, as parsed JSON, or `None`."""
        return self.args[3]

    @property
    def reason(self) -> str | None:
        """`data.reason`, a stable value such as `notConnected` or `cancelled`, or `None`."""
        reason: object = self.data.get("reason") if isinstance(self.data, dict) else None  # pyright: ignore
        return reason if isinstance(reason, str) else None

    @property
    def is_unknown_method(self) -> bool:
        """Whether the app-server may lack the method or its parameters. Codex answers -32600 if JSON-RPC specifies -32601 or -32602.

        The codes do not tell an unknown method from a request that names something that does not exist.
        """
        return self.rpc_code in _UNKNOWN_METHOD

    @property
    def is_overloaded(self) -> bool:
        """Whether the app-server is overloaded (-32001). Send the request again later."""
        return self.rpc_code == _OVERLOADED
