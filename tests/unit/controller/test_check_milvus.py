"""What a check is told, when it is repeated, and what is remembered of it."""

import asyncio
import base64
import dataclasses
import json
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest

from rerank_operator.api.reasons import Reason
from rerank_operator.api.v1alpha1 import MilvusConnection
from rerank_operator.clients.errors import ApiRejected, ApiUnavailable
from rerank_operator.clients.milvus import MilvusSessionFailed, MilvusSessionTooSlow
from rerank_operator.controller import check_milvus
from rerank_operator.controller.check_milvus import MilvusChecker, next_record, verdict_of
from rerank_operator.controller.decisions import MilvusTarget
from rerank_operator.controller.values import Fault, Key, MilvusRecord
from rerank_operator.milvus.trial import MilvusAnswer, MilvusRequest, Stage
from rerank_operator.rerank.questions import Question
from rerank_operator.resources.allowed_hosts import AllowedHosts
from tests.produces import produces

KEY = Key("search", "bge")
URI = "http://milvus.search.svc:19530"
RIGHT = MilvusAnswer(Stage.DONE, "2.6.6", order=(1, 0), scores=(0.9, 0.1))
VERIFIED = f"Milvus 2.6.6 at {URI}: a search brought the right one of 2 documents to the top"


def a_connection(**fields: Any) -> MilvusConnection:
    connection: MilvusConnection = MilvusConnection.model_validate({"uri": URI, **fields})
    return connection


def a_target(connection: MilvusConnection | None = None, **changes: Any) -> MilvusTarget:
    function = {"name": "bge", "function_type": "RERANK", "input_field_names": ["text"], "params": {"provider": "vllm"}}
    target = MilvusTarget(
        key=KEY,
        identity="5f8d7c",
        connection=connection or a_connection(),
        data={"function.json": json.dumps(function), "milvus-lite.json": json.dumps({"provider": "cohere"})},
        question=Question("?", ("wrong", "right"), 1),
    )
    return dataclasses.replace(target, **changes)


class Kube:
    """An API server with some objects; an exception in the place of one is raised."""

    def __init__(self, objects: dict[str, Any] | None = None) -> None:
        self._objects = objects or {}

    async def get(self, _kind: object, _namespace: str, name: str) -> dict[str, Any] | None:
        found: dict[str, Any] | Exception | None = self._objects.get(name)
        if isinstance(found, Exception):
            raise found
        return found


class Milvus:
    """Every Milvus, which answers each check in one way, or not before it is let go."""

    def __init__(self, answer: MilvusAnswer | Exception = RIGHT) -> None:
        self._answer = answer
        self.requests: list[MilvusRequest] = []
        self.free = asyncio.Event()
        self.free.set()

    async def check(self, request: MilvusRequest) -> MilvusAnswer:
        self.requests.append(request)
        await self.free.wait()
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


def a_secret(**values: str) -> dict[str, Any]:
    return {"data": {name: base64.b64encode(text.encode()).decode() for name, text in values.items()}}


def record_after(target: MilvusTarget, kube: Kube | None = None, milvus: Milvus | None = None) -> MilvusRecord | None:
    """What is remembered once a check woke the reranker."""

    async def story() -> MilvusRecord | None:
        woken = asyncio.Event()
        asked = milvus or Milvus()
        checker = MilvusChecker(
            cast("Any", kube or Kube()), cast("Any", asked), AllowedHosts(), 1, lambda _: woken.set()
        )
        checker.start(target)
        await asyncio.wait_for(woken.wait(), 5)
        return checker.records.get(KEY)

    return asyncio.run(story())


def requested(target: MilvusTarget, kube: Kube | None = None) -> MilvusRequest:
    """What a check is told."""
    milvus = Milvus()
    record_after(target, kube, milvus)
    (request,) = milvus.requests
    return request


def test_a_right_check_is_remembered_with_the_version() -> None:
    record = record_after(a_target())
    assert record is not None
    assert ("5f8d7c", Reason.MILVUS_VERIFIED, VERIFIED, "2.6.6", 0) == (
        record.identity,
        record.reason,
        record.detail,
        record.version,
        record.failures,
    )


def test_a_check_is_told_what_is_published_and_the_question() -> None:
    request = requested(a_target(a_connection(database="texts", timeoutSeconds=20, check="Version")))
    assert (URI, "texts", 20.0, False) == (request.uri, request.database, request.timeout, request.search)
    assert ("vllm", "cohere") == (request.function["params"]["provider"], request.lite_params["provider"])
    assert ("?", ("wrong", "right"), 1) == (request.query, request.documents, request.best)
    assert (None, None, None) == (request.token, request.ca_pem, request.api_key)


def test_token_certificates_and_key_are_read_for_each_check() -> None:
    connection = a_connection(
        uri="https://milvus.search.svc",
        tokenSecretRef={"name": "milvus-user"},
        tls={"caBundle": {"configMapName": "ca"}, "serverName": "milvus.internal"},
    )
    objects = {
        "milvus-user": a_secret(token="root:Milvus\n"),  # noqa: S106
        "ca": {"data": {"ca.crt": "PEM"}},
        "callers": a_secret(keys="first\nsecond"),
    }
    request = requested(a_target(connection, secret="callers"), Kube(objects))  # noqa: S106 - its name
    assert ("root:Milvus", "PEM", "milvus.internal", "first") == (
        request.token,
        request.ca_pem,
        request.server_name,
        request.api_key,
    )


def with_own_certificate() -> MilvusConnection:
    return a_connection(uri="https://milvus.search.svc", tls={"clientSecretRef": {"name": "own"}})


def a_tls_secret(**values: str) -> dict[str, Any]:
    return a_secret(**{f"tls.{name}": text for name, text in values.items()})


def test_the_certificate_for_milvus_is_read_with_its_key() -> None:
    request = requested(a_target(with_own_certificate()), Kube({"own": a_tls_secret(crt="CERTIFICATE\n", key="KEY\n")}))
    assert ("CERTIFICATE", "KEY") == (request.client_pem, request.client_key)


@pytest.mark.parametrize(
    ("own", "reason", "words"),
    [
        (None, Reason.SECRET_MISSING, "Secret 'own' does not exist"),
        (a_tls_secret(crt="CERTIFICATE"), Reason.SECRET_KEY_MISSING, "Secret 'own' has no key 'tls.key'"),
        (a_tls_secret(key="KEY"), Reason.SECRET_KEY_MISSING, "Secret 'own' has no key 'tls.crt'"),
        (a_tls_secret(crt="", key="KEY"), Reason.SECRET_KEY_MISSING, "key 'tls.crt' of Secret 'own' is empty"),
        (
            a_tls_secret(crt="CERTIFICATE", key="\n"),
            Reason.SECRET_KEY_MISSING,
            "key 'tls.key' of Secret 'own' is empty",
        ),
        (ApiRejected("forbidden"), Reason.MILVUS_UNAUTHORIZED, "may not read Secret 'own'"),
    ],
)
def test_a_certificate_for_milvus_that_is_missing_is_told(own: Any, reason: Reason, words: str) -> None:
    milvus = Milvus()
    record = record_after(a_target(with_own_certificate()), Kube({"own": own}), milvus)
    assert record is not None
    assert (reason, []) == (record.reason, milvus.requests)
    assert words in record.detail


@produces(Reason.HOST_NOT_ALLOWED, by="double")
def test_a_host_that_is_not_allowed_is_never_called() -> None:
    milvus = Milvus()
    record = record_after(a_target(a_connection(uri="http://milvus.elsewhere.svc:19530")), milvus=milvus)
    assert record is not None
    assert (Reason.HOST_NOT_ALLOWED, []) == (record.reason, milvus.requests)
    assert "http://milvus.elsewhere.svc:19530" in record.detail


@pytest.mark.parametrize(
    ("objects", "reason", "words"),
    [
        ({}, Reason.SECRET_MISSING, "Secret 'milvus-user' does not exist"),
        ({"milvus-user": a_secret(user="root")}, Reason.SECRET_KEY_MISSING, "Secret 'milvus-user' has no key 'token'"),
        ({"milvus-user": {"data": {"token": "/w=="}}}, Reason.SECRET_KEY_MISSING, "is no text"),
        ({"milvus-user": ApiRejected("forbidden")}, Reason.MILVUS_UNAUTHORIZED, "may not read Secret 'milvus-user'"),
        ({"milvus-user": a_secret(token="a:b")}, Reason.SECRET_MISSING, "Secret 'callers' does not exist"),  # noqa: S106
        (
            {"milvus-user": a_secret(token="a:b"), "callers": a_secret(keys=" ")},  # noqa: S106
            Reason.SECRET_KEY_MISSING,
            "Secret 'callers' holds no key",
        ),
    ],
)
def test_a_secret_that_is_missing_is_told(objects: dict[str, Any], reason: Reason, words: str) -> None:
    target = a_target(a_connection(tokenSecretRef={"name": "milvus-user"}), secret="callers")  # noqa: S106
    record = record_after(target, Kube(objects))
    assert record is not None
    assert reason is record.reason
    assert words in record.detail


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (MilvusSessionFailed("the check ended with signal 9"), Reason.MILVUS_ERROR),
        (MilvusSessionTooSlow("the check did not end within 90 s"), Reason.MILVUS_TOO_SLOW),
    ],
)
def test_a_check_that_fails_itself_is_told(error: Exception, reason: Reason) -> None:
    record = record_after(a_target(), milvus=Milvus(error))
    assert record is not None
    assert (reason, f"Milvus at {URI}: {error}") == (record.reason, record.detail)


def test_an_api_server_that_is_away_says_nothing_about_milvus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_milvus, "RETRY_SECONDS", 0.01)
    target = a_target(secret="callers")  # noqa: S106 - its name
    assert None is record_after(target, Kube({"callers": ApiUnavailable("503")}))


def with_checker(limit: int, story: Callable[[MilvusChecker, Milvus], Awaitable[None]]) -> None:
    """Run a story with checks that wait to be let go."""

    async def run() -> None:
        milvus = Milvus()
        milvus.free.clear()
        checker = MilvusChecker(cast("Any", Kube()), cast("Any", milvus), AllowedHosts(), limit, lambda _: None)
        await story(checker, milvus)

    asyncio.run(run())


def target_of(name: str) -> MilvusTarget:
    return a_target(key=Key("search", name))


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def test_no_more_checks_run_at_once_than_allowed_and_one_of_each_reranker() -> None:
    async def story(checker: MilvusChecker, milvus: Milvus) -> None:
        for name in ("a", "a", "b", "c"):
            checker.start(target_of(name))
        checker.start(None)
        await settle()
        assert 2 == len(milvus.requests)
        milvus.free.set()
        await settle()
        assert {"a", "b", "c"} == {key.name for key in checker.records}
        assert 3 == len(milvus.requests) == len({request.collection for request in milvus.requests})

    with_checker(2, story)


def test_the_end_of_the_operator_calls_checks_off() -> None:
    async def story(checker: MilvusChecker, milvus: Milvus) -> None:
        checker.start(target_of("a"))
        await settle()
        await checker.close()
        assert ({}, 1) == (checker.records, len(milvus.requests))

    with_checker(1, story)


def test_rerankers_that_are_gone_are_forgotten() -> None:
    async def story(checker: MilvusChecker, milvus: Milvus) -> None:
        milvus.free.set()
        for name in ("a", "b"):
            checker.start(target_of(name))
        await settle()
        checker.forget_all_but({Key("search", "b")})
        assert {Key("search", "b")} == set(checker.records)

    with_checker(2, story)


REQUEST = MilvusRequest(
    uri=URI,
    function={"name": "bge", "input_field_names": ["text"], "params": {}},
    lite_params={},
    query="?",
    documents=("wrong", "right"),
    best=1,
    id="0a1b2c3d",
    now=1790000000.0,
)
NO_DROP = "PERMISSION_DENIED: PrivilegeDropCollection: permission deny"
LEFT = {"stage": Stage.DROP, "left_over": (REQUEST.collection,)}


@pytest.mark.parametrize(
    ("changes", "reason", "words"),
    [
        ({}, Reason.MILVUS_VERIFIED, VERIFIED),
        (
            {"stage": Stage.CREATE, "error": "PERMISSION_DENIED: PrivilegeCreateCollection: permission deny to me"},
            Reason.MILVUS_FORBIDDEN,
            f"Milvus 2.6.6 at {URI}: PERMISSION_DENIED: PrivilegeCreateCollection: permission deny to me",
        ),
        (
            {"stage": Stage.CONNECT, "version": None, "error": "UNAVAILABLE: Connection refused"},
            Reason.MILVUS_UNREACHABLE,
            f"Milvus at {URI}: UNAVAILABLE: Connection refused",
        ),
        (
            {**LEFT, "error": "DEADLINE_EXCEEDED: Deadline Exceeded"},
            Reason.MILVUS_VERIFIED,
            f"{VERIFIED}; {REQUEST.collection} could not be dropped",
        ),
        (
            {**LEFT, "error": NO_DROP},
            Reason.MILVUS_FORBIDDEN,
            f"Milvus 2.6.6 at {URI}: {NO_DROP}; {REQUEST.collection} could not be dropped",
        ),
    ],
)
def test_a_finding_names_the_milvus_and_what_it_left(changes: dict[str, Any], reason: Reason, words: str) -> None:
    assert (reason, words) == verdict_of(REQUEST, dataclasses.replace(RIGHT, **changes))


ENDED = "UNAVAILABLE: ipv4:10.1.2.3:19530: Socket closed"
UNUSABLE = "UNAVAILABLE: ipv4:10.1.2.3:19530: Failed to create security handshaker."


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({}, ENDED, f"{ENDED}. If Milvus asks for a client certificate (tlsMode 2), set spec.milvus.connection.tls."),
        ({"client_pem": "PEM"}, ENDED, f"{ENDED}. Milvus may refuse the certificate of spec.milvus.connection.tls."),
        ({"client_pem": "PEM"}, UNUSABLE, f"{UNUSABLE} tls.crt and tls.key of spec.milvus.connection.tls."),
        ({"uri": URI}, ENDED, ENDED),
    ],
)
def test_a_connection_that_ends_in_tls_is_told_with_the_field_for_a_certificate(
    changes: dict[str, Any], error: str, words: str
) -> None:
    request = dataclasses.replace(REQUEST, **{"uri": "https://milvus.search.svc", **changes})
    reason, detail = verdict_of(request, MilvusAnswer(Stage.CONNECT, error=error))
    assert Reason.MILVUS_UNREACHABLE is reason
    assert detail.startswith(f"Milvus at {request.uri}: {words}")
    assert ("clientSecretRef" in detail) is request.uri.startswith("https://")


NOW = 1790000000.0
SLOW: Fault = Reason.MILVUS_TOO_SLOW, "took 5 s"


def records_of(*faults: Fault, version: str | None = None) -> list[MilvusRecord]:
    """One record after the other."""
    records: list[MilvusRecord] = []
    for fault in faults:
        records.append(next_record(records[-1] if records else None, version, fault, a_target(), NOW))
    return records


def test_a_milvus_that_is_wrong_is_asked_ever_more_rarely() -> None:
    pauses = [record.ask_again_at - NOW for record in records_of(*[SLOW] * 8)]
    assert [30, 60, 120, 240, 480, 600, 600, 600] == pauses


def test_a_milvus_that_is_right_is_asked_after_about_the_interval() -> None:
    *_, right = records_of(SLOW, SLOW, (Reason.MILVUS_VERIFIED, ""))
    assert 0 == right.failures
    assert 0.95 * 3600 <= right.ask_again_at - NOW <= 3600


def test_while_the_reason_stays_so_does_what_was_said_first() -> None:
    first, second, third = records_of(SLOW, (Reason.MILVUS_TOO_SLOW, "took 6 s"), (Reason.MILVUS_ERROR, "odd"))
    assert ["took 5 s", "took 5 s", "odd"] == [first.detail, second.detail, third.detail]


def test_a_collection_that_stays_behind_is_told_while_it_does() -> None:
    left: Fault = Reason.MILVUS_VERIFIED, "right; x could not be dropped"
    right: Fault = Reason.MILVUS_VERIFIED, "right"
    assert ["right", left[1], left[1], "right"] == [r.detail for r in records_of(right, left, left, right)]


def test_a_version_that_was_told_is_kept_while_milvus_is_away() -> None:
    (told,) = records_of((Reason.MILVUS_VERIFIED, ""), version="2.6.6")
    assert "2.6.6" == next_record(told, None, SLOW, a_target(), NOW).version
    assert None is next_record(told, None, SLOW, a_target(identity="another"), NOW).version


def test_another_publication_begins_anew() -> None:
    *_, wrong = records_of(SLOW, SLOW, SLOW)
    other = next_record(wrong, None, (Reason.MILVUS_TOO_SLOW, "took 7 s"), a_target(identity="another"), NOW)
    assert ("another", 1, "took 7 s") == (other.identity, other.failures, other.detail)
