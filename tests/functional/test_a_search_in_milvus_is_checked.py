"""A check in a real Milvus Lite over TCP, with the engine double as the model, and a gate that plays a full Milvus.

Whatever happens, no collection of a check stays behind, and what belongs to others is not touched.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pytest
from pymilvus import MilvusClient as Pymilvus

from rerank_operator.api.reasons import Reason
from rerank_operator.clients.milvus import MilvusClient, MilvusSessionFailed
from rerank_operator.controller.check_milvus import verdict_of
from rerank_operator.milvus.config_map import build_data
from rerank_operator.milvus.trial import OLD_SECONDS, MilvusAnswer, MilvusRequest, Stage
from tests.builders import a_publication
from tests.cluster.pki import Authority
from tests.doubles.engine import EngineDouble
from tests.doubles.milvus_gate import EVERYTHING, MilvusGate, Refusal
from tests.doubles.milvus_lite_server import MilvusLite, free_port
from tests.produces import produces

MODEL = "tiny-reranker"
DOCUMENTS = ("The capital of Brazil is Brasilia.", "The capital of France is Paris.", "Horses and cows are animals.")
USERS = "documents"
OURS = "rerank_operator_check_"
TOKEN = "searcher:a-password-of-milvus"  # noqa: S105
KEY = "a-key-of-the-model"
PRIVATE = "a-private-key"
DEADLINE = 60.0
FORBIDDEN = "Privilege{}: permission deny to searcher in the `default` database"


@pytest.fixture(scope="module")
def lite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MilvusLite]:
    with MilvusLite(tmp_path_factory.mktemp("milvus")) as running:
        yield running


@pytest.fixture(scope="module")
def owner(lite: MilvusLite) -> Iterator[Pymilvus]:
    """Whoever owns the Milvus, with a collection of their own."""
    connected = Pymilvus(lite.url, dedicated=True)
    connected.create_collection(USERS, dimension=2)
    connected.insert(USERS, [{"id": 1, "vector": [0.0, 1.0]}])
    yield connected
    connected.close()


@pytest.fixture
def gate(lite: MilvusLite, owner: Pymilvus) -> Iterator[MilvusGate]:
    """Nothing of a check is there before; afterwards only what was there before may be."""
    with MilvusGate(lite.address, model=MODEL) as running:
        yield running
    for name in left_in(owner):
        owner.drop_collection(name)


@pytest.fixture
def engine() -> Iterator[EngineDouble]:
    with EngineDouble(model=MODEL) as running:
        yield running


def a_request(uri: str, endpoint: str, **changes: Any) -> MilvusRequest:
    """A check of what is published for an endpoint; `credential` is the published name of a key."""
    data = build_data(a_publication(endpoint=endpoint, model=MODEL, credential=changes.pop("credential", None)))
    base: dict[str, Any] = {
        "uri": uri,
        "function": json.loads(data["function.json"]),
        "lite_params": json.loads(data["milvus-lite.json"]),
        "query": "What is the capital of France?",
        "documents": DOCUMENTS,
        "best": 1,
        "id": "0a1b2c3d",
        "now": time.time(),
        "timeout": 30.0,
    }
    return MilvusRequest(**{**base, **changes})


def check(request: MilvusRequest) -> MilvusAnswer:
    return asyncio.run(MilvusClient().check(request))


def left_in(owner: Pymilvus) -> list[str]:
    return [name for name in owner.list_collections() if name != USERS]


def sessions() -> list[int]:
    """Process ids of the checks that this process started."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(status.read_text().rpartition(")")[2].split()[1])
            command = (status.parent / "cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if parent == os.getpid() and b"milvus_session" in command:
            found.append(int(status.parent.name))
    return found


def told_about(pid: int) -> bytes:
    """What everybody who may look at processes can read."""
    return Path(f"/proc/{pid}/cmdline").read_bytes() + Path(f"/proc/{pid}/environ").read_bytes()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE):
        while not condition():  # noqa: ASYNC110 - another process fulfils it
            await asyncio.sleep(0.02)


def test_a_search_with_the_published_params_is_verified_in_milvus_lite(
    lite: MilvusLite, owner: Pymilvus, engine: EngineDouble
) -> None:
    request = a_request(lite.url, engine.url)
    answer = check(request)
    reason, detail = verdict_of(request, answer)

    assert (Stage.DONE, 1, ()) == (answer.stage, answer.order[0], answer.left_over)
    assert Reason.MILVUS_VERIFIED is reason
    assert f"Milvus {answer.version} at {lite.url}: a search brought the right one of 3 documents to the top" == detail
    assert [USERS] == owner.list_collections()
    assert 1 == owner.get_collection_stats(USERS)["row_count"]
    assert "/v1/rerank" == engine.requests[0].path


@pytest.mark.parametrize(
    ("version", "path"), [("2.6.0", "/v2/rerank"), ("v2.6.6", "/rerank"), ("3.0.1-20260807-1439dc7", "/rerank")]
)
def test_a_full_milvus_is_asked_with_the_published_function(
    gate: MilvusGate, owner: Pymilvus, engine: EngineDouble, version: str, path: str
) -> None:
    gate.version = version
    request = a_request(gate.url, engine.url)
    answer = check(request)

    assert Reason.MILVUS_VERIFIED is verdict_of(request, answer)[0], answer
    assert (version, path) == (answer.version, engine.requests[0].path)
    assert [] == left_in(owner)


def test_milvus_takes_the_key_of_the_model_from_its_own_settings(
    gate: MilvusGate, lite: MilvusLite, engine: EngineDouble
) -> None:
    engine.keys = frozenset({KEY})
    gate.version, gate.credentials = "2.6.6", {"capitals": KEY}

    for uri in (gate.url, lite.url):  # Lite has no settings: there whoever searches brings the key
        request = a_request(uri, engine.url, credential="capitals", api_key=KEY)
        assert Reason.MILVUS_VERIFIED is verdict_of(request, check(request))[0]
    assert [f"Bearer {KEY}"] * 2 == [r.headers["Authorization"] for r in engine.requests]


class Fault(NamedTuple):
    """What is wrong, as a change to a gate and an engine, and as a change to the request."""

    reason: Reason
    words: str
    break_it: Callable[[MilvusGate, EngineDouble], None] = lambda _gate, _engine: None
    changes: dict[str, Any] = {}  # noqa: RUF012 - nobody changes it


def disable(gate: MilvusGate, _: EngineDouble) -> None:
    gate.provider_enabled = False


def know_no_key(gate: MilvusGate, _: EngineDouble) -> None:
    gate.credentials = {"another": KEY}


def know_an_old_key(gate: MilvusGate, engine: EngineDouble) -> None:
    gate.credentials, engine.keys = {"capitals": "an-old-key"}, frozenset({KEY})


def ignore_functions(gate: MilvusGate, _: EngineDouble) -> None:
    gate.ignores_functions = True


def be_old(gate: MilvusGate, _: EngineDouble) -> None:
    gate.version, gate.ignores_functions = "2.5.14", True


def want_another_token(gate: MilvusGate, _: EngineDouble) -> None:
    gate.token = "searcher:another-password"  # noqa: S105


def forbid_creation(gate: MilvusGate, _: EngineDouble) -> None:
    gate.refusals["CreateCollection"] = denied("CreateCollection")


def rank_wrong(_: MilvusGate, engine: EngineDouble) -> None:
    engine.mode = "wrong-order"


def break_down(_: MilvusGate, engine: EngineDouble) -> None:
    engine.mode = "engine-dead"


def say_nothing(gate: MilvusGate, _: EngineDouble) -> None:
    gate.delays[EVERYTHING] = DEADLINE


def hang_in_the_search(_: MilvusGate, engine: EngineDouble) -> None:
    engine.mode = "hang"


def denied(privilege: str) -> Refusal:
    return Refusal(FORBIDDEN.format(privilege), grpc.StatusCode.PERMISSION_DENIED)


FAULTS = {
    "provider disabled": Fault(Reason.PROVIDER_DISABLED, "rerank provider: [vllm] is disabled", disable),
    "unknown credential": Fault(
        Reason.CREDENTIAL_UNKNOWN, "can not find key: capitals.apikey", know_no_key, {"credential": "capitals"}
    ),
    "old key": Fault(
        Reason.CREDENTIAL_REFUSED, "errs:[401 Unauthorized", know_an_old_key, {"credential": "capitals", "api_key": KEY}
    ),
    "function dropped": Fault(Reason.RESULT_NOT_RERANKED, "in the order of their vectors", ignore_functions),
    "wrong order": Fault(Reason.RESULT_NOT_RERANKED, "came first, not the right one, 1", rank_wrong),
    "too old": Fault(Reason.SERVER_TOO_OLD, "Milvus 2.5.14 at http://127.0.0.1", be_old),
    "wrong password": Fault(
        Reason.MILVUS_UNAUTHORIZED, "please check username and password", want_another_token, {"token": TOKEN}
    ),
    "no token": Fault(Reason.MILVUS_UNAUTHORIZED, "missing authorization in header", want_another_token),
    "no right to create": Fault(
        Reason.MILVUS_FORBIDDEN, "PrivilegeCreateCollection: permission deny to searcher", forbid_creation
    ),
    "engine broken": Fault(Reason.MILVUS_ERROR, "errs:[500 Internal Server Error", break_down),
    "no answer": Fault(Reason.MILVUS_TOO_SLOW, "DEADLINE_EXCEEDED", say_nothing, {"timeout": 5.0}),
    "search hangs": Fault(Reason.MILVUS_TOO_SLOW, "DEADLINE_EXCEEDED", hang_in_the_search, {"timeout": 8.0}),
}


@produces(*{fault.reason for fault in FAULTS.values()}, by="Milvus")
@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_has_its_reason_and_leaves_nothing_behind(
    gate: MilvusGate, owner: Pymilvus, engine: EngineDouble, name: str
) -> None:
    fault = FAULTS[name]
    gate.version = "2.6.6"
    fault.break_it(gate, engine)
    request = a_request(gate.url, engine.url, **fault.changes)
    begun = time.monotonic()
    answer = check(request)
    reason, detail = verdict_of(request, answer)

    assert (fault.reason, ()) == (reason, answer.left_over), detail
    assert fault.words in detail
    assert time.monotonic() - begun < request.timeout + 20
    assert [] == left_in(owner)
    assert 1 == owner.get_collection_stats(USERS)["row_count"]
    assert [] == sessions()
    assert not any(secret in detail for secret in (TOKEN, TOKEN.partition(":")[2], KEY))


@produces(Reason.ENDPOINT_UNREACHABLE_FROM_MILVUS, by="Milvus")
@pytest.mark.parametrize("endpoint", [f"http://127.0.0.1:{free_port()}", "http://capitals.demo.svc.invalid:8000"])
@pytest.mark.parametrize("version", ["2.6.6", "3.0.0", ""])
def test_an_endpoint_that_milvus_cannot_reach_is_told(
    gate: MilvusGate, owner: Pymilvus, endpoint: str, version: str
) -> None:
    gate.version = version
    request = a_request(gate.url, endpoint)

    assert Reason.ENDPOINT_UNREACHABLE_FROM_MILVUS is verdict_of(request, check(request))[0]
    assert [] == left_in(owner)


@produces(Reason.MILVUS_UNREACHABLE, by="Milvus")
@pytest.mark.parametrize(
    ("uri", "words"),
    [
        (f"http://127.0.0.1:{free_port()}", "Connection refused"),
        ("http://milvus.nowhere.invalid:19530", "Name or service not known"),
    ],
)
def test_a_milvus_that_is_down_or_elsewhere_is_told_at_once(uri: str, words: str) -> None:
    request = a_request(uri, "http://127.0.0.1:1", timeout=60.0)
    begun = time.monotonic()
    reason, detail = verdict_of(request, check(request))

    assert (Reason.MILVUS_UNREACHABLE, f"Milvus at {uri}: UNAVAILABLE: {words}") == (reason, detail)
    assert time.monotonic() - begun < 20


def test_only_the_version_is_read_where_no_search_is_wanted(gate: MilvusGate) -> None:
    gate.version = "2.6.6"
    request = a_request(gate.url, "http://127.0.0.1:1", search=False)

    assert Reason.SEARCH_NOT_CHECKED is verdict_of(request, check(request))[0]
    assert {"Connect", "GetVersion"} == set(gate.calls)


def test_a_server_that_is_too_old_gets_no_collection(gate: MilvusGate, engine: EngineDouble) -> None:
    be_old(gate, engine)
    check(a_request(gate.url, "http://127.0.0.1:1"))

    assert {"Connect", "GetVersion"} == set(gate.calls)


def test_a_collection_that_may_not_be_dropped_is_told_and_gets_no_company(
    gate: MilvusGate, owner: Pymilvus, engine: EngineDouble
) -> None:
    gate.refusals["DropCollection"] = denied("DropCollection")
    first = a_request(gate.url, engine.url)
    answer = check(first)
    reason, detail = verdict_of(first, answer)

    assert (Stage.DROP, (first.collection,)) == (answer.stage, answer.left_over)
    assert Reason.MILVUS_FORBIDDEN is reason
    assert f"{first.collection} could not be dropped" in detail

    later = a_request(gate.url, engine.url, now=first.now + OLD_SECONDS + 1, id="1b2c3d4e")
    answer = check(later)

    assert (Stage.TIDY, (first.collection,)) == (answer.stage, answer.left_over)
    assert Reason.MILVUS_FORBIDDEN is verdict_of(later, answer)[0]
    assert [first.collection] == left_in(owner), "no further collection"


def test_a_killed_check_leaves_a_collection_that_a_later_one_drops(
    gate: MilvusGate, lite: MilvusLite, owner: Pymilvus, engine: EngineDouble
) -> None:
    gate.delays["Search"] = DEADLINE
    killed = a_request(gate.url, engine.url)

    async def kill() -> None:
        task = asyncio.create_task(MilvusClient().check(killed))
        await until(lambda: "Search" in gate.calls)
        (pid,) = sessions()
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(MilvusSessionFailed, match="the check ended with signal 9"):
            await task

    asyncio.run(kill())
    assert [killed.collection] == left_in(owner)

    check(a_request(lite.url, engine.url, now=killed.now + OLD_SECONDS - 60, id="1b2c3d4e"))
    assert [killed.collection] == left_in(owner), "it may belong to a check that still runs"

    answer = check(a_request(lite.url, engine.url, now=killed.now + OLD_SECONDS + 1, id="2c3d4e5f"))
    assert Stage.DONE is answer.stage
    assert [] == left_in(owner)


def test_a_check_that_is_called_off_drops_its_collection(
    gate: MilvusGate, owner: Pymilvus, engine: EngineDouble
) -> None:
    gate.delays["Search"] = DEADLINE

    async def call_off() -> None:
        task = asyncio.create_task(MilvusClient().check(a_request(gate.url, engine.url)))
        await until(lambda: "Search" in gate.calls)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(call_off())
    assert [] == left_in(owner)
    assert [] == sessions()


def test_token_and_keys_are_in_no_argument_and_in_no_environment(
    gate: MilvusGate, engine: EngineDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of-somebody-else")
    gate.delays["Search"] = DEADLINE
    told = b""

    async def look() -> None:
        nonlocal told
        own = {"token": TOKEN, "api_key": KEY, "client_pem": "a-certificate", "client_key": PRIVATE}
        task = asyncio.create_task(MilvusClient().check(a_request(gate.url, engine.url, **own)))
        await until(lambda: "Search" in gate.calls)
        (pid,) = sessions()
        told = told_about(pid)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(look())
    assert b"milvus_session" in told
    assert [] == [secret for secret in (TOKEN, KEY, PRIVATE, "of-somebody-else") if secret.encode() in told]


def test_a_certificate_of_ones_own_is_trusted_and_leaves_no_file(
    lite: MilvusLite, engine: EngineDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path / "ca")
    issued = authority.issue_server("milvus", "/CN=milvus", ["milvus.search.svc"])
    place = tmp_path / "tmp"
    place.mkdir()
    monkeypatch.setenv("TMPDIR", str(place))
    trusted = {"ca_pem": authority.certificate.read_text(), "server_name": "milvus.search.svc"}

    with MilvusGate(lite.address, certificate=(issued.key.read_bytes(), issued.certificate.read_bytes())) as gate:
        right = a_request(gate.url, engine.url, **trusted)
        assert Reason.MILVUS_VERIFIED is verdict_of(right, check(right))[0]
        for wrong in ({"ca_pem": None}, {"server_name": None}):
            request = a_request(gate.url, engine.url, **{**trusted, **wrong})
            assert Reason.MILVUS_UNREACHABLE is verdict_of(request, check(request))[0]
    assert [] == list(place.iterdir())


@produces(Reason.MILVUS_UNREACHABLE, by="Milvus")
def test_a_milvus_that_asks_for_a_client_certificate_is_shown_the_one_of_the_secret(
    lite: MilvusLite, owner: Pymilvus, engine: EngineDouble, tmp_path: Path
) -> None:
    ours, other = Authority(tmp_path / "ours"), Authority(tmp_path / "other")
    issued = ours.issue_server("milvus", "/CN=milvus", ["milvus.search.svc"])
    own, foreign = ours.issue_client("operator", "operator"), other.issue_client("operator", "operator")
    authority = ours.certificate.read_text()
    pair = {"client_pem": own.certificate.read_text(), "client_key": own.key.read_text()}
    base = {"ca_pem": authority, "server_name": "milvus.search.svc", **pair}
    none, unlike = {"client_pem": None, "client_key": None}, {"client_key": foreign.key.read_text()}
    strange = {"client_pem": foreign.certificate.read_text(), **unlike}
    certificate = (issued.key.read_bytes(), issued.certificate.read_bytes())

    with MilvusGate(lite.address, model=MODEL, certificate=certificate, authority=authority.encode()) as gate:
        right = a_request(gate.url, engine.url, **base)
        assert Reason.MILVUS_VERIFIED is verdict_of(right, check(right))[0]
        for wrong, words in (
            (
                none,
                "If Milvus asks for a client certificate (tlsMode 2), set spec.milvus.connection.tls.clientSecretRef",
            ),
            (strange, "Milvus may refuse the certificate of spec.milvus.connection.tls.clientSecretRef"),
            (unlike, "tls.crt and tls.key of spec.milvus.connection.tls.clientSecretRef must be PEM and a pair"),
            ({"ca_pem": None}, "CERTIFICATE_VERIFY_FAILED"),  # not of a public one, which is what is trusted then
        ):
            request = a_request(gate.url, engine.url, **{**base, **wrong})
            reason, detail = verdict_of(request, check(request))
            assert Reason.MILVUS_UNREACHABLE is reason
            assert words in detail
            assert not any(line in detail for line in own.key.read_text().splitlines())
    assert [] == left_in(owner)


def test_the_operator_itself_never_has_pymilvus() -> None:
    lines = "import sys, rerank_operator.app; print([m for m in ('pymilvus', 'grpc') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, check=True)
    assert "[]" == done.stdout.strip()
