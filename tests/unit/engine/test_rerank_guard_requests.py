"""What the guard changes on request: a limit of documents, truncation by default, answers without documents."""

from __future__ import annotations

import asyncio
import gzip
import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import pytest

from rerank_operator.engine import rerank_guard
from rerank_operator.engine.rerank_guard import Guard
from tests.doubles.asgi import Response, http_scope

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.doubles.asgi import Message, Receive, Scope, Send

pytestmark = pytest.mark.anyio
QUESTION = {"query": "capital of France", "documents": ["Paris", "Rome"]}
BODY = json.dumps(QUESTION).encode()
MAX_DOCUMENTS = "RERANK_GUARD_MAX_DOCUMENTS"
TRUNCATE = "RERANK_GUARD_TRUNCATE_PROMPT_TOKENS"
STRIP = "RERANK_GUARD_STRIP_DOCUMENTS"
TRUNCATED = BODY[:-1] + b',"truncate_prompt_tokens":-1}'
Headers = list[tuple[bytes, bytes]]
PLAIN: Headers = [(b"content-type", b"application/json"), (b"x-own", b"kept")]


def answer_to(documents: Iterable[str]) -> bytes:
    """Return what vLLM answers, as it writes it."""
    results = [
        {"index": index, "document": {"text": text, "multi_modal": None}, "relevance_score": 0.1 / (index + 3)}
        for index, text in enumerate(documents)
    ]
    answer = {"id": "score-1", "model": "größe", "usage": {"prompt_tokens": 7}, "results": results}
    return json.dumps(answer, separators=(",", ":"), ensure_ascii=False).encode()


ANSWER = answer_to(["Paris", "Rome"])
STRIPPED = (
    '{"id":"score-1","model":"größe","usage":{"prompt_tokens":7},"results":'
    '[{"index":0,"relevance_score":0.03333333333333333},{"index":1,"relevance_score":0.025}]}'
).encode()


class Engine:
    """Answers every request with the same bytes, and keeps what it received."""

    def __init__(self) -> None:
        self.status = 200
        self.answer = [ANSWER]
        self.headers: Headers | None = None
        self.scope: Scope = {}
        self.messages: list[Message] = []
        self.next_message: Message | None = None

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.messages)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            return
        self.scope = scope
        self.messages = [await receive()]
        while self.messages[-1].get("more_body"):
            self.messages.append(await receive())
        length = str(sum(map(len, self.answer))).encode()
        headers = [*PLAIN, (b"content-length", length)] if self.headers is None else self.headers
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        for chunk in self.answer[:-1]:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": self.answer[-1]})
        self.next_message = await receive()


class Client:
    """Sends one request in the given messages, then leaves; keeps the messages of the answer."""

    def __init__(self, *messages: Message) -> None:
        self.left = list(messages)
        self.got: list[Message] = []

    async def receive(self) -> Message:
        return self.left.pop(0) if self.left else {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.got.append(message)

    @property
    def response(self) -> Response:
        headers = {name.decode(): value.decode() for name, value in self.got[0]["headers"]}
        return Response(self.got[0]["status"], headers, b"".join(message["body"] for message in self.got[1:]))


def part(body: bytes, *, more: bool = False) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


class Server:
    """A started guard before an engine."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.monkeypatch = monkeypatch
        self.engine = Engine()
        self.guard = Guard(self.engine)

    async def start(self, **variables: object) -> None:
        for name, value in variables.items():
            self.monkeypatch.setenv(name, str(value))
        assert await self.said_at_start() == []

    async def said_at_start(self) -> list[Message]:
        said = Client({"type": "lifespan.startup"})
        await self.guard({"type": "lifespan"}, said.receive, said.send)
        return said.got

    async def rerank(
        self,
        body: bytes = BODY,
        *,
        method: str = "POST",
        path: str = "/rerank",
        headers: Iterable[tuple[str, str]] = (),
    ) -> Response:
        own = [("content-type", "application/json"), ("content-length", str(len(body)))]
        client = Client(part(body[:7], more=True), part(b"", more=True), part(body[7:]))
        await self.guard(http_scope(method, path, headers=[*own, *headers]), client.receive, client.send)
        return client.response


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    return Server(monkeypatch)


async def test_without_a_setting_a_request_and_its_answer_pass_in_the_messages_they_came_in(server: Server) -> None:
    await server.start()
    answer = await server.rerank()
    assert [part(BODY[:7], more=True), part(b"", more=True), part(BODY[7:])] == server.engine.messages
    assert ANSWER == answer.body


@pytest.mark.parametrize("path", ["/rerank", "/v1/rerank", "/v2/rerank"])
async def test_a_request_with_too_many_documents_is_told_how_many_and_the_limit(server: Server, path: str) -> None:
    await server.start(**{MAX_DOCUMENTS: 1})
    answer = await server.rerank(path=path)
    message = "2 documents in one request, the limit here is 1; send them in parts"
    expected = {"message": message, "type": HTTPStatus(413).phrase, "param": "documents", "code": 413}
    assert (413, {"error": expected}) == (answer.status, answer.json)
    assert not server.engine.messages


async def test_a_request_with_as_many_documents_as_the_limit_passes(server: Server) -> None:
    await server.start(**{MAX_DOCUMENTS: 2})
    assert 200 == (await server.rerank()).status
    assert [part(BODY[:7], more=True), part(b"", more=True), part(BODY[7:])] == server.engine.messages


@pytest.mark.parametrize("body", [b'{"documents":"one text of many letters"}', b'{"documents":{"content":[]}}', b"{}"])
async def test_documents_that_are_no_list_count_as_one(server: Server, body: bytes) -> None:
    await server.start(**{MAX_DOCUMENTS: 1})
    assert 200 == (await server.rerank(body)).status


@pytest.mark.parametrize(("method", "path"), [("POST", "/score"), ("GET", "/rerank"), ("POST", "/rerank/")])
async def test_other_routes_and_methods_have_no_limit_and_are_not_touched(
    server: Server, method: str, path: str
) -> None:
    await server.start(**{MAX_DOCUMENTS: 1, TRUNCATE: -1, STRIP: "true"})
    answer = await server.rerank(method=method, path=path)
    assert (200, ANSWER, BODY) == (answer.status, answer.body, server.engine.body)


async def test_in_the_lame_phase_a_refused_request_closes_its_connection_too(server: Server) -> None:
    await server.start(**{MAX_DOCUMENTS: 1})
    server.guard.drain.lame = True
    answer = await server.rerank()
    assert (413, "close", 0) == (answer.status, answer.headers["connection"], server.guard.drain.in_flight)


async def test_truncation_is_added_to_a_request_that_has_none(server: Server) -> None:
    await server.start(**{TRUNCATE: -1})
    before = http_scope("POST", "/rerank", headers=[("content-length", str(len(BODY))), ("x-own", "kept")])
    client = Client(part(BODY))
    await server.guard(before, client.receive, client.send)
    assert [part(TRUNCATED)] == server.engine.messages
    headers = [(b"x-own", b"kept"), (b"content-length", str(len(TRUNCATED)).encode())]
    assert headers == server.engine.scope["headers"]
    assert [(b"content-length", str(len(BODY)).encode()), (b"x-own", b"kept")] == before["headers"]


async def test_a_chunked_request_gets_a_length(server: Server) -> None:
    await server.start(**{TRUNCATE: 512})
    client = Client(part(BODY[:20], more=True), part(BODY[20:], more=True), part(b""))
    scope = http_scope("POST", "/rerank", headers=[("transfer-encoding", "chunked")])
    await server.guard(scope, client.receive, client.send)
    assert QUESTION | {"truncate_prompt_tokens": 512} == json.loads(server.engine.body)
    assert [(b"content-length", str(len(server.engine.body)).encode())] == server.engine.scope["headers"]


@pytest.mark.parametrize("own", [1, -1, 0, "x"])
async def test_a_client_that_asks_for_its_own_truncation_gets_it(server: Server, own: object) -> None:
    await server.start(**{TRUNCATE: 512})
    body = json.dumps(QUESTION | {"truncate_prompt_tokens": own}).encode()
    await server.rerank(body)
    assert body == server.engine.body


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"{}", b'{"truncate_prompt_tokens":-1}'),
        (b' {"a":1e2 , "a":2}\r\n', b' {"a":1e2 , "a":2,"truncate_prompt_tokens":-1}'),
        (
            b'{"truncate_prompt_tokens":null,"documents":["}"]}',
            b'{"truncate_prompt_tokens":null,"documents":["}"],"truncate_prompt_tokens":-1}',
        ),
        (b'\xef\xbb\xbf{"a":1}', b'\xef\xbb\xbf{"a":1,"truncate_prompt_tokens":-1}'),
        ('{"a":"}ü"}'.encode(), '{"a":"}ü","truncate_prompt_tokens":-1}'.encode()),
        ('{"a":1}'.encode("utf-16-le"), '{"a":1,"truncate_prompt_tokens":-1}'.encode("utf-16-le")),
        (b'{"a":"\xed\xa0\x80"}', b'{"a":"\xed\xa0\x80","truncate_prompt_tokens":-1}'),
    ],
    ids=["empty object", "spaces", "null", "byte order mark", "not ASCII", "UTF-16", "half a surrogate pair"],
)
async def test_all_but_the_added_field_stays_as_the_client_wrote_it(
    server: Server, body: bytes, expected: bytes
) -> None:
    await server.start(**{TRUNCATE: -1})
    await server.rerank(body)
    assert expected == server.engine.body
    assert -1 == json.loads(server.engine.body)["truncate_prompt_tokens"]


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"", []),
        (b"{bad json", []),
        (b"[]", []),
        (b'"documents"', []),
        (b"\xff\xff\xff\xff\xff", []),
        (b"[" * 100_000, []),
        (gzip.compress(BODY), [("content-encoding", "gzip")]),
    ],
    ids=["empty", "no JSON", "a list", "a string", "no text", "too deep", "compressed"],
)
async def test_a_body_that_is_no_json_object_passes_untouched(
    server: Server, body: bytes, headers: list[tuple[str, str]]
) -> None:
    await server.start(**{TRUNCATE: -1, MAX_DOCUMENTS: 1})
    await server.rerank(body, headers=headers)
    assert [part(body[:7], more=True), part(b"", more=True), part(body[7:])] == server.engine.messages
    assert (b"content-length", str(len(body)).encode()) in server.engine.scope["headers"]


@pytest.mark.parametrize("variables", [{MAX_DOCUMENTS: 5}, {TRUNCATE: -1}])
async def test_a_client_that_leaves_while_it_is_answered_is_missed_by_the_engine(
    server: Server, variables: dict[str, object]
) -> None:
    await server.start(**variables)
    await server.rerank()
    assert {"type": "http.disconnect"} == server.engine.next_message


async def test_a_client_that_leaves_while_its_request_is_read_is_missed_by_the_engine(server: Server) -> None:
    await server.start(**{MAX_DOCUMENTS: 1, TRUNCATE: -1})
    client = Client(part(BODY, more=True))
    await server.guard(http_scope("POST", "/rerank"), client.receive, client.send)
    assert [part(BODY, more=True), {"type": "http.disconnect"}] == server.engine.messages
    assert 0 == server.guard.drain.in_flight


async def test_a_request_that_is_being_read_is_in_flight(server: Server) -> None:
    await server.start(**{MAX_DOCUMENTS: 5})
    reading, rest = asyncio.Event(), asyncio.Event()
    client = Client(part(BODY[7:]))

    async def receive() -> Message:
        if not reading.is_set():
            reading.set()
            return part(BODY[:7], more=True)
        await rest.wait()
        return await client.receive()

    request = asyncio.create_task(server.guard(http_scope("POST", "/rerank"), receive, client.send))
    await reading.wait()
    assert (1, 1) == (server.guard.drain.in_flight, await server.guard.drain.run(0, 0))
    rest.set()
    await request
    assert (200, 0) == (client.response.status, server.guard.drain.in_flight)
    assert "close" == client.response.headers["connection"]


async def test_a_changed_request_and_a_stripped_answer_are_still_evidence(server: Server) -> None:
    await server.start(**{TRUNCATE: -1, STRIP: "true", MAX_DOCUMENTS: 5})
    await server.rerank()
    server.engine.status = 500
    ready = Client(part(b""))
    await server.guard(http_scope("GET", "/ready"), ready.receive, ready.send)
    assert 200 == ready.response.status


async def test_the_forward_pass_of_the_guard_is_not_changed(server: Server) -> None:
    await server.start(**{TRUNCATE: -1, STRIP: "true", MAX_DOCUMENTS: 1})
    ready = Client(part(b""))
    task = asyncio.create_task(server.guard(http_scope("GET", "/ready"), ready.receive, ready.send))
    async with asyncio.timeout(10):
        while not server.engine.messages:  # noqa: ASYNC110 - the engine offers nothing to wait on
            await asyncio.sleep(0)
    assert {"query", "documents"} == set(json.loads(server.engine.body))
    task.cancel()


@pytest.mark.parametrize("chunks", [[ANSWER], [ANSWER[:50], b"", ANSWER[50:]]])
async def test_an_answer_loses_its_documents_and_nothing_else(server: Server, chunks: list[bytes]) -> None:
    await server.start(**{STRIP: "true"})
    server.engine.answer = chunks
    answer = await server.rerank()
    assert (200, STRIPPED) == (answer.status, answer.body)
    assert (str(len(STRIPPED)), "kept") == (answer.headers["content-length"], answer.headers["x-own"])
    assert [part(BODY[:7], more=True), part(b"", more=True), part(BODY[7:])] == server.engine.messages


async def test_a_stripped_answer_closes_its_connection_in_the_lame_phase(server: Server) -> None:
    await server.start(**{STRIP: "true"})
    server.guard.drain.lame = True
    answer = await server.rerank()
    assert (STRIPPED, "close") == (answer.body, answer.headers["connection"])


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"<html>",
        b"[]",
        b'"results"',
        b"{}",
        b'{"results":null}',
        b'{"results":[1]}',
        b'{"results":["document"]}',
        b'{"results":[ {"index":0} ]}',
        b'{"results":{"document":1}}',
        b'{"results":[{"document":1}],"model":"\\ud800"}',
        b"\xff\xff\xff\xff\xff",
    ],
)
async def test_an_answer_of_another_shape_passes_unchanged(server: Server, said: bytes) -> None:
    await server.start(**{STRIP: "true"})
    server.engine.answer = [said]
    answer = await server.rerank()
    assert (said, str(len(said))) == (answer.body, answer.headers["content-length"])


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (200, [(b"Content-Type", b"application/json")]),
        (200, [(b"content-type", b"text/event-stream"), (b"content-length", b"1")]),
        (200, [*PLAIN, (b"content-length", b"1"), (b"Content-Encoding", b"gzip")]),
        (206, [*PLAIN, (b"content-length", b"1")]),
        (400, [*PLAIN, (b"content-length", b"1")]),
    ],
    ids=["a stream", "events", "compressed", "a part", "a refusal"],
)
async def test_a_stream_a_compressed_answer_and_a_refusal_are_not_held_back(
    server: Server, status: int, headers: Headers
) -> None:
    await server.start(**{STRIP: "true"})
    server.engine.status, server.engine.headers, server.engine.answer = status, headers, [ANSWER[:9], ANSWER[9:]]
    client = Client(part(BODY))
    await server.guard(http_scope("POST", "/rerank"), client.receive, client.send)
    assert [
        {"type": "http.response.start", "status": status, "headers": headers},
        {"type": "http.response.body", "body": ANSWER[:9], "more_body": True},
        {"type": "http.response.body", "body": ANSWER[9:]},
    ] == client.got


@pytest.mark.parametrize("value", ["false", None])
async def test_documents_stay_unless_they_are_to_go(server: Server, value: str | None) -> None:
    await server.start(**{STRIP: value} if value else {})
    assert ANSWER == (await server.rerank()).body


@pytest.mark.parametrize(
    ("variable", "values", "remedy"),
    [
        (MAX_DOCUMENTS, ["", "0", "-1", "1.5", "many"], "is not a whole number from 1 up"),
        (TRUNCATE, ["", "0", "-2", "1.5", "max"], "is not -1 or a whole number from 1 up"),
        (STRIP, ["", "1", "yes", "True"], "is not true or false"),
    ],
)
async def test_an_unusable_setting_stops_the_server_before_it_listens(
    server: Server, monkeypatch: pytest.MonkeyPatch, variable: str, values: list[str], remedy: str
) -> None:
    for value in values:
        monkeypatch.setenv(variable, value)
        expected = f"rerank_guard: {variable}={value!r} {remedy}"
        assert [{"type": "lifespan.startup.failed", "message": expected}] == await server.said_at_start()


def test_the_environment_is_read_into_settings() -> None:
    environ: dict[str, Any] = {MAX_DOCUMENTS: "100", TRUNCATE: "-1", STRIP: "true", "RERANK_GUARD_KEYS_DIR": "/keys"}
    expected = rerank_guard.Settings(max_documents=100, truncate=-1, strip_documents=True, keys_dir="/keys")
    assert expected == rerank_guard.Settings.from_env(environ)
    assert rerank_guard.Settings() == rerank_guard.Settings.from_env({})
