"""The objects are frozen, comparable and hashable, can be printed, pickled, copied and matched, and never print secrets."""

from __future__ import annotations

import copy
import dataclasses
import enum
import inspect
import json
import pickle
from pathlib import Path
from typing import Any

import pytest

import mcp_startup
from mcp_startup import (
    AuthStatus,
    ClientFile,
    ClientFileProblem,
    ClientScope,
    ClientServer,
    ClientTransport,
    ConfigurationError,
    CredentialEvidence,
    CredentialSource,
    CredentialWorth,
    DecodeError,
    DecodeErrorKind,
    Evidence,
    McpAuthStatus,
    McpServerStartupFailureReason,
    McpServerStartupState,
    McpServerStatusUpdatedNotification,
    NotChecked,
    McpStartupError,
    Rejected,
    ServerKey,
    SignInBegun,
    SignInError,
    StartPhase,
    StartupEvent,
    StartupFailedError,
    StartupFailure,
    StartupFailureKind,
    StartupTracker,
)

SCHEMAS = Path(__file__).parents[3] / "schema"
RECORDINGS = sorted((Path(__file__).parents[3] / "tests/fixtures").glob("codex-app-server-*.jsonl"))
UNKNOWN = '{"method":"mcpServer/startupStatus/updated","params":{"name":"a","status":"queued"}}'
ENVIRONMENT = UNKNOWN.replace('"status"', '"environmentId":"e","status"')
UNKNOWN_REASON = (
    '{"method":"mcpServer/startupStatus/updated","params":{"name":"a","status":"failed","failureReason":"outOfLuck"}}'
)

def read(line: str) -> McpServerStatusUpdatedNotification:
    notification = mcp_startup.decode(line)
    assert notification is not None
    return notification


def failure(server: str = "linear") -> mcp_startup.StartupFailure:
    return mcp_startup.judge(
        {
            "server": server,
            "credential": {"source": "stored", "worth": {"accessToken": "good", "refreshToken": False}},
            "requests": [{"to": "mcp", "credentialSent": "stored", "status": 401}],
        }
    )


def bad_line(line: str = "{") -> DecodeError:
    with pytest.raises(DecodeError) as raised:
        mcp_startup.decode(line)
    return raised.value


def auth_status(scopes: tuple[str, ...] = ("a", "b")) -> AuthStatus:
    return AuthStatus(
        status=McpAuthStatus.OAUTH,
        worth=CredentialWorth(refresh_token=True),
        expires_at_ms=1,
        scopes=scopes,
        issuer="https://issuer.example",
        store="file",
        store_error=None,
    )


def client_file(*, error: bool = True) -> ClientFile:
    server = ClientServer(
        name="docs", transport=ClientTransport.HTTP, enabled=True, checkable=True, why=None, approved=None
    )
    return ClientFile(
        client="cursor",
        scope=ClientScope.USER,
        path="/home/ada/.cursor/mcp.json",
        format="jsonc",
        approved=None,
        error=ClientFileProblem(line=1, column=2, message="no") if error else None,
        not_read=None,
        warnings=(ClientFileProblem(line=3, column=None, message="no"),),
        servers=(server,),
    )


def not_checked(name: str = "docs") -> NotChecked:
    path = "/home/ada/.cursor/mcp.json"
    return NotChecked(client="cursor", scope=ClientScope.USER, path=path, name=name, why="no", needs_approval=False)


def event(name: str = "linear") -> StartupEvent:
    return StartupEvent(
        notification=McpServerStatusUpdatedNotification.from_failure(name, failure(name)),
        phase=StartPhase.INITIALIZING,
        elapsed_ms=12,
        required=False,
        failure=failure(name),
        warning=None,
        tools=None,
        not_saved=None,
        configuration_warnings=(),
    )


# Pairs of an object and a different object of the same type. Each call creates new objects, so that equal ones are not identical.
def objects() -> list[tuple[Any, Any]]:
    notification = McpServerStatusUpdatedNotification
    lines = mcp_startup.decode_lines(UNKNOWN + "\n{\n")
    tracker = StartupTracker()
    applied = tracker.apply_lines(UNKNOWN + "\n{\n")
    return [
        (notification.ready("a"), notification.ready("b")),
        (notification.failed("a", "no", thread_id="t"), notification.failed("a", "no")),
        (notification.reauthentication_required("a", "no"), notification.failed("a", "no")),
        (read(UNKNOWN), read(UNKNOWN.replace("queued", "waiting"))),
        (read(ENVIRONMENT), read(UNKNOWN)),
        (read(ENVIRONMENT.replace('"e"', "null")), read(UNKNOWN)),
        (read(UNKNOWN), read(ENVIRONMENT.replace('"e"', "null"))),
        (applied.changed[0], dataclasses.replace(applied.changed[0], environment_id="e")),
        (read(UNKNOWN_REASON), notification.failed("a", "")),
        (read(UNKNOWN).status, McpServerStartupState.READY),
        (McpServerStartupState.READY, McpServerStartupState.FAILED),
        (McpServerStartupFailureReason.REAUTHENTICATION_REQUIRED, McpServerStartupFailureReason("outOfLuck")),
        (lines, mcp_startup.decode_lines(b"")),
        (lines.errors[0], mcp_startup.decode_lines("{").errors[0]),
        (applied, tracker.apply_lines(b"")),
        (tracker.apply(notification.ready("c")), tracker.apply(notification.ready("c"))),
        (tracker.servers()[0], tracker.servers()[1]),
        (failure(), failure("notion")),
        (failure().evidence, Evidence(server="linear")),
        (event(), event("notion")),
        (auth_status(), auth_status(())),
        (client_file(), client_file(error=False)),
        (client_file().servers[0], dataclasses.replace(client_file().servers[0], enabled=False)),
        (client_file().error, dataclasses.replace(client_file().error, line=None)),
        (not_checked(), not_checked("linear")),
        (ClientScope.USER, ClientScope.PROJECT),
        (ClientTransport.HTTP, ClientTransport.UNKNOWN),
        (Rejected(authorization="Bearer s3cret"), Rejected()),
        (SignInBegun(authorization_url="https://a.example/?state=s3cret", pending="s3cret"),
         SignInBegun(authorization_url="https://a.example/", pending="s3cret")),
        (bad_line(), bad_line("[]")),
    ]  # fmt: skip


@pytest.mark.parametrize("at", range(len(objects())))
def test_an_object_is_a_value(at: int) -> None:
    (one, other), (same, _) = objects()[at], objects()[at]
    assert one == same and not one != same
    assert one != other and not one == other
    assert hash(one) == hash(same)
    assert len({one, same, other}) == 2
    assert one != object()
    assert type(one).__name__ in repr(one)
    assert repr(one) == repr(same)
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        loaded = pickle.loads(pickle.dumps(one, protocol))
        assert loaded == one and type(loaded) is type(one) and hash(loaded) == hash(one)
    for copied in [copy.copy(one), copy.deepcopy(one)]:
        assert copied == one and type(copied) is type(one)


@pytest.mark.parametrize("at", range(len(objects())))
def test_an_object_is_frozen(at: int) -> None:
    one = objects()[at][0]
    if isinstance(one, BaseException):
        # Python itself sets attributes of exceptions, such as the traceback.
        return
    if dataclasses.is_dataclass(one):
        fields = [field.name for field in dataclasses.fields(one)]
    elif isinstance(one, enum.Enum):
        fields = ["name", "value"]
    else:
        fields = ["thread_id", "name", "environment_id", "status", "error", "failure_reason"]
    for field in fields:
        before = getattr(one, field)
        with pytest.raises(AttributeError):
            setattr(one, field, None)
        with pytest.raises(AttributeError):
            delattr(one, field)
        assert getattr(one, field) == before


def test_public_classes_belong_to_the_public_module() -> None:
    for name in mcp_startup.__all__:
        value = getattr(mcp_startup, name)
        if inspect.isclass(value):
            assert (value.__module__, value.__qualname__) == ("mcp_startup", name)
            assert pickle.loads(pickle.dumps(value)) is value


def test_an_invalid_notification_cannot_be_created() -> None:
    with pytest.raises(TypeError):
        McpServerStatusUpdatedNotification("a", "starting", None, "reauthenticationRequired")  # type: ignore[call-arg]
    notification: Any = McpServerStatusUpdatedNotification
    with pytest.raises(TypeError):
        notification.ready(1)
    with pytest.raises(TypeError):
        notification.failed("a")
    with pytest.raises(TypeError):
        notification.from_failure("a", failure().evidence)


def test_from_failure_ignores_a_kind_that_the_evidence_does_not_support() -> None:
    forged = dataclasses.replace(failure(), evidence=Evidence(server="linear"))
    assert McpServerStatusUpdatedNotification.from_failure("linear", forged).failure_reason is None


def test_a_known_value_is_a_single_object() -> None:
    line = McpServerStatusUpdatedNotification.reauthentication_required("a", "no").encode()
    for got in [read(line), mcp_startup.decode_lines(line).notifications[0], pickle.loads(pickle.dumps(read(line)))]:
        assert got.status is McpServerStartupState.FAILED
        assert got.failure_reason is McpServerStartupFailureReason.REAUTHENTICATION_REQUIRED
    tracker = StartupTracker()
    tracker.apply_lines(line)
    assert tracker.servers()[0].status is McpServerStartupState.FAILED
    for state in McpServerStartupState:
        assert McpServerStartupState(state.value) is state and state.is_known
        assert copy.copy(state) is state and copy.deepcopy(state) is state
        assert pickle.loads(pickle.dumps(state)) is state
        assert state == state.value and hash(state) == hash(state.value) and str(state) == state.value == f"{state}"


def test_an_unknown_value_is_equal_to_its_text() -> None:
    status = read(UNKNOWN).status
    assert isinstance(status, McpServerStartupState)
    assert status == "queued" and status == McpServerStartupState("queued")
    assert {"queued": 1}[status] == 1 and {status: 1}["queued"] == 1
    assert (str(status), f"{status}", json.dumps(status)) == ("queued", "queued", '"queued"')
    assert not status.is_known and status not in list(McpServerStartupState)
    reason = read(UNKNOWN_REASON).failure_reason
    assert reason == "outOfLuck" and reason is not None and not reason.is_known
    assert '"status":"queued"' in read(UNKNOWN).encode()
    assert status != McpServerStartupState.STARTING and status is not None


@pytest.mark.parametrize("value", [None, 1, b"ready", ["ready"]])
def test_only_strings_are_enum_values(value: Any) -> None:
    with pytest.raises(ValueError):
        McpServerStartupState(value)


def test_a_notification_matches() -> None:
    def describe(notification: object) -> str:
        match notification:
            case McpServerStatusUpdatedNotification(name, McpServerStartupState.READY):
                return f"{name} is ready"
            case McpServerStatusUpdatedNotification(
                name, failure_reason=McpServerStartupFailureReason.REAUTHENTICATION_REQUIRED
            ):
                return f"sign in again to {name}"
            case McpServerStatusUpdatedNotification(name, McpServerStartupState.FAILED, str(error)):
                return f"{name}: {error}"
            case McpServerStatusUpdatedNotification(status="queued"):
                return "queued"
        return "?"

    notification = McpServerStatusUpdatedNotification
    assert describe(notification.ready("a")) == "a is ready"
    assert describe(notification.reauthentication_required("a", "no")) == "sign in again to a"
    assert describe(notification.failed("a", "no")) == "a: no"
    assert describe(read(UNKNOWN)) == "queued"
    assert describe(notification.starting("a")) == "?"


def test_a_failure_matches() -> None:
    match failure():
        case mcp_startup.StartupFailure(
            kind=mcp_startup.StartupFailureKind.REAUTHENTICATION_REQUIRED,
            evidence=Evidence(credential=CredentialEvidence(source=CredentialSource.STORED)),
        ):
            return
    raise AssertionError(failure())


def test_objects_do_not_print_their_secrets() -> None:
    for one, _ in objects():
        assert "s3cret" not in repr(one) + str(one)


def test_every_error_is_an_mcp_startup_error() -> None:
    error = bad_line('{"method":"mcpServer/startupStatus/updated","params":{"name":7,"status":"ready"}}')
    assert isinstance(error, McpStartupError) and isinstance(error, ValueError)
    assert (error.code, error.kind, error.field) == ("decode", DecodeErrorKind.INVALID_TYPE, "params.name")
    assert "params.name" in str(error)
    for name in mcp_startup.__all__:
        if name.endswith("Error") and name not in ("LineError", "StoreError"):
            assert issubclass(getattr(mcp_startup, name), McpStartupError)


@pytest.mark.parametrize(
    "error",
    [
        bad_line(),
        ConfigurationError("no", "syntax", "/config.toml", 3, "mcp_servers"),
        SignInError("no", "denied"),
        StartupFailedError("no", failure()),
        mcp_startup.CredentialStoreError("no"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_is_pickled_with_its_details(error: McpStartupError) -> None:
    loaded = pickle.loads(pickle.dumps(error))
    assert type(loaded) is type(error) and loaded.code == error.code and str(loaded) == str(error)
    for name, member in inspect.getmembers(type(error)):
        if isinstance(member, property):
            assert getattr(loaded, name) == getattr(error, name)


def test_other_errors_keep_their_code() -> None:
    with pytest.raises(McpStartupError) as raised:
        mcp_startup.judge({"requests": "none"})
    assert raised.value.code == "invalidArgument" and "a list" in str(raised.value)
    assert pickle.loads(pickle.dumps(raised.value)).code == "invalidArgument"


@pytest.mark.parametrize("wrong", [None, 1, ["line"], bytearray(b"{}")])
def test_only_str_and_bytes_are_accepted(wrong: Any) -> None:
    for read_it in [mcp_startup.decode, mcp_startup.decode_lines, StartupTracker().apply_lines]:
        with pytest.raises(TypeError):
            read_it(wrong)


def test_two_versions_of_codex_are_recorded() -> None:
    assert len(RECORDINGS) >= 2


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda recording: recording.name)
def test_every_recorded_line_of_codex_is_decoded_and_encoded_unchanged(recording: Path) -> None:
    lines = recording.read_bytes().splitlines()
    notifications = 0
    for line in lines:
        message = json.loads(line)
        got = mcp_startup.decode(line)
        if message.get("method") != mcp_startup.METHOD:
            assert got is None
            continue
        notifications += 1
        assert got is not None
        written = json.loads(got.encode())
        assert written == {"method": message["method"], "params": message["params"]}
        assert list(written["params"]) == list(message["params"])
    assert notifications > 10
    decoded = mcp_startup.decode_lines(recording.read_bytes())
    assert len(decoded.notifications) == notifications and decoded.errors == ()


def test_threads_can_share_a_tracker() -> None:
    from concurrent.futures import ThreadPoolExecutor

    tracker = StartupTracker()
    line = McpServerStatusUpdatedNotification.reauthentication_required("a", "no").encode()
    with ThreadPoolExecutor(8) as pool:
        prompts = list(pool.map(lambda _: tracker.apply_lines(line).prompts, range(200)))
    # The tracker prompts once, although all threads report the failure.
    assert max(prompts, key=len) == (ServerKey(None, None, "a"),) and sum(map(len, prompts)) == 1
    assert tracker.reauthentication_required() == [ServerKey(None, None, "a")]


async def test_values_have_the_json_form_of_the_other_languages() -> None:
    *_, event = [event async for event in mcp_startup.check(mcp_servers={"a": {"command": "/no/such/program"}})]
    value = json.loads(event.to_json())
    assert value == event.to_dict()
    assert list(value) == [
        "notification",
        "phase",
        "elapsedMs",
        "required",
        "failure",
        "warning",
        "tools",
        "notSaved",
        "configurationWarnings",
    ]
    assert value["notification"] == json.loads(event.notification.encode())["params"] == event.notification.to_dict()
    assert json.loads(event.notification.to_json()) == event.notification.to_dict()
    assert value["failure"]["kind"] == "programNotFound" and value["failure"]["evidence"]["server"] == "a"
    # Optional evidence is left out, and the fields of an event are not.
    assert "stdout" not in value["failure"]["evidence"] and value["warning"] is None
    assert all(type(item) is str for item in [value["phase"], event.to_dict()["phase"]])


async def test_pydantic_reads_and_writes_events() -> None:
    pydantic = pytest.importorskip("pydantic")

    class Report(pydantic.BaseModel):  # type: ignore[name-defined, misc]
        events: list[StartupEvent]
        notification: McpServerStatusUpdatedNotification
        status: AuthStatus

    events = [event async for event in mcp_startup.check(mcp_servers={"a": {"command": "/no/such/program"}})]
    report = Report(events=events, notification=events[0].notification, status=auth_status())
    text = report.model_dump_json()
    assert json.loads(text)["events"] == [event.to_dict() for event in events]
    assert Report.model_validate_json(text) == report
    for value, problem in [
        ({"name": "a"}, "`notification` is missing"),
        (events[1].to_dict() | {"elapsedMs": "1"}, "`elapsedMs` is not an integer"),
        (events[1].to_dict() | {"failure": {"kind": 7}}, "`failure.kind` is not a string"),
    ]:
        with pytest.raises(pydantic.ValidationError, match=f"not the JSON form of a StartupEvent: {problem}"):
            Report(events=[value], notification=events[0].notification, status=auth_status())
    with pytest.raises(pydantic.ValidationError, match="not the JSON form of a McpServerStatusUpdatedNotification"):
        Report(events=[], notification={"name": 7}, status=auth_status())


def test_the_json_schema_of_an_event_has_its_fields() -> None:
    pydantic = pytest.importorskip("pydantic")
    schema = pydantic.TypeAdapter(StartupEvent).json_schema(mode="serialization")
    assert schema["title"] == "StartupEvent" and set(schema["required"]) == set(schema["properties"]) == set(event().to_dict())
    assert schema["properties"]["elapsedMs"] == {"type": "integer"}
    assert "handshake" not in schema["properties"] and "initializing" in schema["properties"]["phase"]["enum"]
    failed = schema["properties"]["failure"]["anyOf"][0]
    assert failed["properties"]["kind"]["enum"] == [kind.value for kind in StartupFailureKind]
    assert failed["properties"]["evidence"]["properties"]["requests"]["items"]["properties"]["status"]


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("McpServerStatusUpdatedNotification.lenient", McpServerStatusUpdatedNotification),
        ("StartupFailure", StartupFailure),
        ("Evidence", Evidence),
    ],
)
def test_the_json_schema_of_a_class_has_the_fields_of_the_schema_of_the_type(name: str, target: type[Any]) -> None:
    schema = pytest.importorskip("pydantic").TypeAdapter(target).json_schema()
    published = json.loads((SCHEMAS / f"{name}.json").read_text(encoding="utf-8"))
    assert set(schema["properties"]) == set(published["properties"])
    assert set(schema["required"]) == set(published.get("required", []))
