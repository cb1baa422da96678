"""Who is let in by the guard: keys in a folder, and what everybody else gets."""

from __future__ import annotations

import shutil
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from rerank_operator.engine import rerank_guard
from rerank_operator.engine.rerank_guard import Guard
from tests.doubles.asgi import AsgiEngine, Response, call

if TYPE_CHECKING:
    from pathlib import Path

    from tests.doubles.asgi import Message

pytestmark = pytest.mark.anyio
QUESTION = {"query": "capital of France", "documents": ["Paris", "Rome"]}
MISSING = "a key is missing; send the header 'Authorization: Bearer KEY' with a key of this reranker"
WRONG = "this key is not, or no longer, let in; send the header 'Authorization: Bearer KEY' with a key of this reranker"


class Clock(SimpleNamespace):
    """Stands in for the guard's ``time`` module."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


class Door:
    """A started guard with a folder of keys, and the engine behind it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.engine = AsgiEngine()
        self.guard = Guard(self.engine)
        self.said: list[Message] = []

    async def start(self) -> None:
        events = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]

        async def receive() -> Message:
            return events.pop(0)

        async def send(message: Message) -> None:
            self.said.append(message)

        await self.guard({"type": "lifespan"}, receive, send)

    async def ask(
        self, method: str = "POST", path: str = "/rerank", *, key: str | None = None, header: str | None = None
    ) -> Response:
        written = header if header is not None else f"Bearer {key}" if key else None
        headers = [("authorization", written)] if written is not None else []
        return await call(self.guard, method, path, body=QUESTION, headers=headers)

    async def status(self, key: str | None = None) -> int:
        return (await self.ask(key=key)).status

    async def fault(self) -> str:
        """Why the guard is not ready."""
        answer = await call(self.guard, "GET", "/ready")
        assert 503 == answer.status
        message: str = answer.json["error"]["message"]
        return message


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(rerank_guard, "time", clock)
    return clock


@pytest.fixture
async def door(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, clock: Clock) -> Door:
    folder = tmp_path / "keys"
    folder.mkdir()
    (folder / "milvus").write_text("first\n\n  second  \r\n")
    (folder / "people").write_text("third")
    monkeypatch.setenv("RERANK_GUARD_KEYS_DIR", str(folder))
    door = Door(folder)
    await door.start()
    return door


@pytest.mark.parametrize("key", ["first", "second", "third"])
async def test_each_line_of_each_file_is_a_key(door: Door, key: str) -> None:
    answer = await door.ask(key=key)
    assert (200, 2) == (answer.status, len(answer.json["results"]))


@pytest.mark.parametrize("header", ["bearer first", "BEARER first", "Bearer   first "])
async def test_the_scheme_is_written_in_any_case(door: Door, header: str) -> None:
    assert 200 == (await door.ask(header=header)).status


@pytest.mark.parametrize("header", [None, "", "first", "Basic first", "Bearer", "Bearer ", "Bearerfirst"])
async def test_without_a_key_a_client_is_told_what_is_missing(door: Door, header: str | None) -> None:
    answer = await door.ask(header=header)
    assert (401, "Bearer") == (answer.status, answer.headers["www-authenticate"])
    assert {"message": MISSING, "type": "Unauthorized", "param": None, "code": 401} == answer.json["error"]
    assert not door.engine.scopes


@pytest.mark.parametrize("key", ["firs", "firstt", "First", "first second", "first\nsecond", "\N{SNOWMAN}", "milvus"])
async def test_a_wrong_key_is_refused_and_not_repeated(door: Door, key: str) -> None:
    answer = await door.ask(key=key)
    assert (401, WRONG) == (answer.status, answer.json["error"]["message"])


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/rerank"),
        ("POST", "/v2/rerank"),
        ("POST", "/score"),
        ("GET", "/v1/models"),
        ("GET", "/docs"),
        ("GET", "/no-such-path"),
        ("GET", "/"),
        ("GET", ""),
        ("POST", "//rerank"),
        ("GET", "/health/"),
        ("GET", "//health"),
        ("GET", "/health/../rerank"),
        ("GET", "/metrics/foo"),
        ("GET", "/metrics\0"),
        ("GET", "/READY"),
        ("GET", "/drain"),
        ("POST", "/health"),
        ("POST", "/metrics"),
        ("POST", "/ready"),
        ("POST", "/drain"),
        ("OPTIONS", "/rerank"),
        ("OPTIONS", "/health"),
    ],
)
async def test_every_route_needs_a_key_by_its_exact_path_and_method(door: Door, method: str, path: str) -> None:
    assert 401 == (await door.ask(method, path)).status
    assert not door.engine.scopes


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_probes_and_scrapes_need_no_key(door: Door, method: str) -> None:
    assert [200, 200, 200] == [(await door.ask(method, path)).status for path in ("/health", "/metrics", "/ready")]


async def test_the_key_goes_on_to_the_engine_which_may_want_it_too(door: Door) -> None:
    await door.ask(key="first")
    assert b"Bearer first" == dict(door.engine.scopes[0]["headers"])[b"authorization"]


async def test_without_a_folder_nobody_needs_a_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("RERANK_GUARD_KEYS_DIR", raising=False)
    door = Door(tmp_path)
    await door.start()
    assert [200, 200] == [await door.status(), await door.status("whatever")]


async def test_a_guard_that_was_never_started_is_closed_too(door: Door) -> None:
    unstarted = Door(door.folder)
    assert [401, 200] == [await unstarted.status(), await unstarted.status("first")]


async def test_an_empty_name_of_the_folder_stops_the_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RERANK_GUARD_KEYS_DIR", "")
    door = Door(tmp_path)
    await door.start()
    remedy = "RERANK_GUARD_KEYS_DIR='' is not a folder, name the one where the Secret with the keys is mounted"
    assert [{"type": "lifespan.startup.failed", "message": f"rerank_guard: {remedy}"}] == door.said


def mount(folder: Path, version: int, files: dict[str, str]) -> None:
    """Put files into a folder as the kubelet does: each is a link through ..data, which is swapped in one step."""
    data = folder / f"..{version}"
    data.mkdir()
    for name, text in files.items():
        (data / name).write_text(text)
    (folder / "..new").symlink_to(data.name)
    (folder / "..new").rename(folder / "..data")
    for name in files:
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"..data/{name}")
    for link in folder.iterdir():
        if not link.exists():
            link.unlink()
    if version > 1:
        shutil.rmtree(folder / f"..{version - 1}")


async def test_a_secret_is_rotated_without_a_restart(door: Door, clock: Clock) -> None:
    for file in door.folder.iterdir():
        file.unlink()
    let_in = []
    for version, files in enumerate(({"key": "old"}, {"key": "old\nnew"}, {"another": "new"}), start=1):
        mount(door.folder, version, files)
        clock.now += 1
        let_in.append([await door.status(key) for key in ("old", "new")])
    assert [[200, 401], [200, 200], [401, 200]] == let_in


async def test_the_keys_are_read_once_a_second_at_most(door: Door, clock: Clock) -> None:
    clock.now += 1
    assert 200 == await door.status("first")
    (door.folder / "milvus").write_text("new")
    clock.now += 0.9
    assert [200, 401] == [await door.status("first"), await door.status("new")]
    clock.now += 0.1
    assert [401, 200] == [await door.status("first"), await door.status("new")]


async def test_a_folder_that_goes_away_closes_the_door_until_it_is_back(door: Door, clock: Clock) -> None:
    away = door.folder.rename(door.folder.with_name("away"))
    clock.now += 1
    assert [401, 401, 401] == [await door.status(), await door.status("first"), await door.status("")]
    expected = f"no key in {door.folder}: [Errno 2] No such file or directory: '{door.folder}'"
    assert expected == await door.fault()
    away.rename(door.folder)
    clock.now += 1
    assert 200 == await door.status("first")
    assert 200 == (await door.ask("GET", "/ready")).status


@pytest.mark.parametrize("text", ["", "\n \n\r\n"])
async def test_files_without_a_key_let_nobody_in(door: Door, clock: Clock, text: str) -> None:
    for file in door.folder.iterdir():
        file.write_text(text)
    (door.folder / "..data").write_text("hidden")
    clock.now += 1
    assert [401, 401] == [await door.status(), await door.status("hidden")]
    assert f"no key in {door.folder}: none of its files holds one" == await door.fault()


async def test_a_pod_without_keys_is_not_ready_however_fresh_the_evidence(door: Door, clock: Clock) -> None:
    assert 200 == await door.status("first")
    shutil.rmtree(door.folder)
    clock.now += 1
    assert "no key in " == (await door.fault())[:10]


async def test_a_file_that_cannot_be_read_closes_the_door(
    door: Door, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_folder: Path) -> Any:
        raise PermissionError(13, "Permission denied", "milvus")

    monkeypatch.setattr(rerank_guard, "read_keys", refuse)
    clock.now += 1
    assert 401 == await door.status("first")
    assert f"no key in {door.folder}: [Errno 13] Permission denied: 'milvus'" == await door.fault()


async def test_what_is_no_text_and_no_file_breaks_nothing(door: Door, clock: Clock) -> None:
    (door.folder / "binary").write_bytes(b"\xff\xfe\0\n\xe9t\xe9\n")
    (door.folder / "folder").mkdir()
    (door.folder / "dangling").symlink_to("nowhere")
    clock.now += 1
    assert [200, 401] == [await door.status("first"), await door.status("\N{SNOWMAN}")]


def test_a_file_that_goes_away_while_the_folder_is_read_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stays").write_text("key")
    (tmp_path / "goes").symlink_to("nowhere")
    monkeypatch.setattr("pathlib.Path.is_file", lambda _self: True)
    assert {b"key"} == rerank_guard.read_keys(tmp_path)


async def test_the_log_tells_the_number_of_keys_when_it_changes_and_never_a_key(
    door: Door, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    (door.folder / "people").write_text("fourth")
    clock.now += 1
    await door.ask(key="fourth")
    (door.folder / "people").unlink()
    clock.now += 1
    await door.ask(key="fourth")
    shutil.rmtree(door.folder)
    for _ in range(2):
        clock.now += 1
        await door.ask(key="first")
    lines = capsys.readouterr().err.splitlines()
    prefix = "rerank_guard: "
    assert [f"{prefix}keys in {door.folder}: 2", f"{prefix}no key in {door.folder}: "] == [
        line[: len(f"{prefix}no key in {door.folder}: ")] for line in lines
    ]


async def test_the_log_tells_the_number_of_keys_at_the_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "keys").write_text("one\ntwo\ntwo")
    monkeypatch.setenv("RERANK_GUARD_KEYS_DIR", str(tmp_path))
    await Door(tmp_path).start()
    assert f"rerank_guard: keys in {tmp_path}: 2\n" == capsys.readouterr().err


async def test_a_key_is_compared_with_all_of_them(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[bytes] = []

    def compare(key: bytes, token: bytes) -> bool:
        compared.append(key)
        return key == token

    monkeypatch.setattr("hmac.compare_digest", compare)
    await door.ask(key="first")
    assert [b"first", b"second", b"third"] == sorted(compared)


class Websocket:
    """A client that opens a websocket and records what it gets."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.answers: list[Message] = []

    async def receive(self) -> Message:
        self.events.append("connect")
        return {"type": "websocket.connect"}

    async def send(self, message: Message) -> None:
        self.events.append(message["type"])
        self.answers.append(message)


async def test_a_websocket_without_a_key_is_closed_before_it_opens(door: Door) -> None:
    client = Websocket()
    await door.guard({"type": "websocket", "path": "/v1/realtime", "headers": []}, client.receive, client.send)
    assert ["connect", "websocket.close"] == client.events
    assert [{"type": "websocket.close", "code": 1008}] == client.answers
    assert not door.engine.scopes


async def test_a_websocket_with_a_key_reaches_the_engine(door: Door) -> None:
    client = Websocket()
    headers = [(b"authorization", b"Bearer first")]
    await door.guard({"type": "websocket", "path": "/health", "headers": headers}, client.receive, client.send)
    assert ["/health"] == [scope["path"] for scope in door.engine.scopes]


async def test_the_drain_takes_its_own_token_and_no_key(door: Door) -> None:
    door.guard.token = "drain-token"  # noqa: S105
    refused, unknown = await door.ask("POST", "/drain"), await door.ask("POST", "/drain", key="first")
    assert [401, 404] == [refused.status, unknown.status]
    assert not door.guard.drain.lame
    headers = [("authorization", "Bearer drain-token")]
    drained = await call(door.guard, "POST", "/drain", query="lame=0", headers=headers)
    assert {"in_flight": 0} == drained.json


async def test_the_token_of_the_drain_opens_nothing_else(door: Door) -> None:
    door.guard.token = "drain-token"  # noqa: S105
    assert 401 == await door.status("drain-token")


async def test_a_stranger_is_refused_in_the_lame_phase_and_after_it(door: Door) -> None:
    door.guard.drain.lame = True
    answer = await door.ask()
    assert (401, "close") == (answer.status, answer.headers["connection"])
    door.guard.drain.refusing = True
    assert [401, 503] == [await door.status(), await door.status("first")]
