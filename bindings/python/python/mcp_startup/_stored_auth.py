"""The adapter for `httpx` and `httpx2`, whose classes have the same methods. It imports neither of them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from typing import TYPE_CHECKING, Any, ClassVar

from . import _native
from ._arguments import check_names
from ._call import answer, wait
from ._engine import Rejected, native_refusal
from ._errors import InsufficientScopeError, StartupFailedError, unwrap
from ._generated import StartupFailureKind
from ._options import Options, document_options, native_options, validate

if TYPE_CHECKING:
    from typing_extensions import Unpack

# A start tries at most three credentials: none, the stored and the refreshed one. Another process can store one more.
_MAX_REQUESTS = 4


class StoredAuth:
    """Sets the `Authorization` header of the requests to one server, and answers a refusal with the next credential."""

    _not_read: ClassVar[type[Exception]]
    """The error for a body that is a stream."""

    def __init__(self, server: str, **options: Unpack[Options]) -> None:
        validate(StoredAuth.__init__, locals())
        self._server = server
        self._options = options

    def sync_auth_flow(self, request: Any) -> Generator[Any, Any, None]:
        """Authorizes a request of a `Client`."""
        steps = self._steps(request, own_loop=True)
        step = next(steps, None)
        while step is not None:
            try:
                if not isinstance(step, _native.Call):
                    step = steps.send((yield step))
                    continue
                try:
                    result = unwrap(wait(step))
                except StartupFailedError as failed:
                    step = steps.throw(failed)
                else:
                    step = steps.send(result)
            except StopIteration:
                return

    async def async_auth_flow(self, request: Any) -> AsyncGenerator[Any, Any]:
        """Authorizes a request of an `AsyncClient`."""
        steps = self._steps(request, own_loop=False)
        step = next(steps, None)
        while step is not None:
            try:
                if not isinstance(step, _native.Call):
                    step = steps.send((yield step))
                    continue
                try:
                    result = await answer(step)
                except StartupFailedError as failed:
                    step = steps.throw(failed)
                else:
                    step = steps.send(result)
            except StopIteration:
                return

    def _steps(self, request: Any, *, own_loop: bool) -> Generator[Any, Any, None]:
        """Yields calls, to receive their results, and the request, to receive its response."""
        url = str(request.url)
        rejected: Rejected | None = None
        for _ in range(_MAX_REQUESTS):
            native = native_options(self._options, own_loop=own_loop)
            try:
                authorized = yield _native.request_authorization(*native, self._server, url, native_refusal(rejected))
            except StartupFailedError as failed:
                if rejected is None or rejected.status == 401:
                    raise
                if failed.failure.kind is StartupFailureKind.INSUFFICIENT_SCOPE:
                    raise InsufficientScopeError(str(failed), failed.failure, rejected.challenge) from None
                return
            if authorized is None:
                # Another origin. A redirect can lead there, and the client has removed the header.
                if rejected is None:
                    yield request
                return
            if rejected is not None and not self._can_repeat(request):
                return
            if authorized["header"] is not None:
                request.headers["Authorization"] = authorized["header"]
            response = yield request
            rejected = _rejected(request, response)
            if rejected is None:
                return
            url = str(response.request.url)

    def _can_repeat(self, request: Any) -> bool:
        try:
            request.content  # noqa: B018
        except self._not_read:
            return False
        return True


def _rejected(request: Any, response: Any) -> Rejected | None:
    """Returns the refusal that another credential, or more scopes, may change."""
    status: int = response.status_code
    challenge: str | None = response.headers.get("WWW-Authenticate")
    if status == 401 or (status == 403 and challenge is not None and "insufficient_scope" in challenge):
        return Rejected(authorization=request.headers.get("Authorization"), challenge=challenge, status=status)
    return None


document_options(StoredAuth.__init__)
# Both adapters have this name, which Python shows if an argument is missing.
StoredAuth.__init__.__qualname__ = "StartupAuth.__init__"
StoredAuth.__init__ = check_names(StoredAuth.__init__)  # type: ignore[method-assign]
