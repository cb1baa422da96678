"""The gate in front of a real Milvus Lite: nothing changed, and changed in each way that a test may order."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from pymilvus import DataType, Function, FunctionType, MilvusClient, MilvusException

from tests.doubles.engine import EngineDouble
from tests.doubles.milvus_gate import MilvusGate, Refusal
from tests.doubles.milvus_lite_server import MilvusLite, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

COLLECTION = "documents"
DOCUMENTS = ["The capital of Brazil is Brasilia.", "Horses and cows are animals.", "The capital of France is Paris."]
QUESTION = "What is the capital of France?"
MODEL = "tiny-reranker"
TOKEN = "root:Milvus"  # noqa: S105


@pytest.fixture(scope="module")
def lite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MilvusLite]:
    with MilvusLite(tmp_path_factory.mktemp("milvus")) as running:
        client = MilvusClient(running.url, dedicated=True)
        schema = client.create_schema(auto_id=False)
        schema.add_field("id", DataType.INT64, is_primary=True)
        schema.add_field("text", DataType.VARCHAR, max_length=512)
        schema.add_field("near", DataType.FLOAT_VECTOR, dim=2)
        index = client.prepare_index_params()
        index.add_index("near", index_type="FLAT", metric_type="L2")
        client.create_collection(COLLECTION, schema=schema, index_params=index)
        rows = [{"id": n, "text": text, "near": [float(n), 0.0]} for n, text in enumerate(DOCUMENTS)]
        client.insert(COLLECTION, rows)
        yield running
        client.close()


@pytest.fixture
def gate(lite: MilvusLite) -> Iterator[MilvusGate]:
    with MilvusGate(lite.address, model=MODEL) as running:
        yield running


@pytest.fixture
def engine() -> Iterator[EngineDouble]:
    with EngineDouble(model=MODEL) as running:
        yield running


def vllm(engine: EngineDouble | str, **params: Any) -> dict[str, Any]:
    """Params for the provider vllm of a full Milvus."""
    endpoint = engine if isinstance(engine, str) else engine.url
    return {"reranker": "model", "provider": "vllm", "endpoint": endpoint, **params}


def search(url: str, params: dict[str, Any] | None = None, **connection: Any) -> list[Any]:
    """Ids and scores, best first."""
    client = MilvusClient(url, dedicated=True, **connection)
    ranker = None
    if params is not None:
        params = {**params, "queries": [QUESTION]}
        ranker = Function("f", FunctionType.RERANK, input_field_names=["text"], params=params)
    try:
        (hits,) = client.search(COLLECTION, [[0.0, 0.0]], anns_field="near", limit=3, ranker=ranker, timeout=10)
        return [(hit["id"], hit["distance"], hit["entity"]) for hit in hits]
    finally:
        client.close()


def test_with_nothing_changed_the_answers_are_those_of_milvus_lite(lite: MilvusLite, gate: MilvusGate) -> None:
    through, directly = MilvusClient(gate.url, dedicated=True), MilvusClient(lite.url, dedicated=True)
    for ask in (
        lambda client: client.get_server_version(),
        lambda client: client.list_collections(),
        lambda client: client.describe_collection(COLLECTION),
        lambda client: client.query(COLLECTION, filter="id >= 0", output_fields=["text"]),
    ):
        assert ask(directly) == ask(through)  # type: ignore[no-untyped-call]
    assert search(lite.url) == search(gate.url)
    through.close()
    directly.close()


def test_an_error_of_milvus_lite_comes_through(lite: MilvusLite, gate: MilvusGate, engine: EngineDouble) -> None:
    said = []
    for url in (lite.url, gate.url):
        with pytest.raises(MilvusException) as error:
            search(url, vllm(engine))
        said.append(error.value.message)
    assert ["Unknown rerank provider: 'vllm'. Supported: 'cohere'"] * 2 == said


def test_collections_can_be_made_and_dropped_through_the_gate(lite: MilvusLite, gate: MilvusGate) -> None:
    client = MilvusClient(gate.url, dedicated=True)
    client.create_collection("new", dimension=2)
    assert {COLLECTION, "new"} == set(MilvusClient(lite.url, dedicated=True).list_collections())
    client.drop_collection("new")
    assert [COLLECTION] == MilvusClient(lite.url, dedicated=True).list_collections()
    client.close()


def test_another_version_is_reported(gate: MilvusGate) -> None:
    gate.version = "2.6.6"
    client = MilvusClient(gate.url, dedicated=True)
    assert "2.6.6" == client.get_server_version()
    assert "2.6.6" == client.get_server_version(detail=True)["version"]
    client.close()


@pytest.mark.parametrize(("version", "path"), [("2.6.0", "/v2/rerank"), ("2.6.6", "/rerank"), ("3.0.0", "/rerank")])
def test_the_provider_vllm_calls_the_endpoint_without_its_path(
    gate: MilvusGate, engine: EngineDouble, version: str, path: str
) -> None:
    gate.version = version
    hits = search(gate.url, vllm(f"{engine.url}/v1/rerank?a=b", max_client_batch_size=8, max_batch=8))
    assert (2, path) == (hits[0][0], engine.requests[0].path)


@pytest.mark.parametrize(
    ("version", "params", "words"),
    [
        ("2.6.6", {"max_client_batch_size": 0}, "[max_client_batch_size param's value: 0] must be greater than 0"),
        ("2.6.6", {"max_client_batch_size": 2.0}, "[max_client_batch_size param's value: 2.0] is not a valid number"),
        ("2.6.0", {"max_batch": -1}, "[max_batch param's value: -1] must be greater than 0"),
        ("3.0.0", {"truncate_prompt_tokens": "auto"}, "is not a valid number: invalid parameter"),
        ("2.6.6", {"endpoint": ""}, "Rerank function lost params endpoint"),
        ("2.6.6", {"endpoint": "bge:8000"}, "endpoint: [bge:8000] is not a valid http/https link"),
        ("2.6.6", {"credential": "bge"}, "bge is not a apikey crediential, can not find key: bge.apikey"),
        (
            "2.6.6",
            {"endpoint": "http://nowhere.invalid:80"},
            'errs:[Post "http://nowhere.invalid:80/rerank": dial tcp: lookup nowhere.invalid',
        ),
    ],
)
def test_the_provider_vllm_refuses_what_milvus_refuses(
    gate: MilvusGate, engine: EngineDouble, version: str, params: dict[str, Any], words: str
) -> None:
    gate.version = version
    with pytest.raises(MilvusException) as error:
        search(gate.url, vllm(engine, **params))
    assert words in error.value.message


@pytest.mark.parametrize("params", [{"max_batch": 0}, {"maxBatch": "many"}, {"model": "x", "url": "y"}])
def test_a_key_of_another_version_is_ignored(gate: MilvusGate, engine: EngineDouble, params: dict[str, Any]) -> None:
    gate.version = "2.6.6"
    assert 2 == search(gate.url, vllm(engine, **params))[0][0]


@pytest.mark.parametrize(
    ("version", "words"),
    [
        ("2.6.0", 'Call rerank model failed: Call service failed, errs:[401 Unauthorized, {"error":'),
        ("2.6.6", 'Call service failed, errs:[401 Unauthorized, {"error":'),
        ("3.0.0", 'Map failed: call service failed, errs:[401 Unauthorized, {"error":'),
    ],
)
def test_what_the_model_answers_is_passed_on(gate: MilvusGate, engine: EngineDouble, version: str, words: str) -> None:
    gate.version, engine.mode = version, "unauthorized"
    with pytest.raises(MilvusException) as error:
        search(gate.url, vllm(engine))
    assert error.value.message.startswith(words)


def test_a_model_that_is_down_is_told_in_the_words_of_go(gate: MilvusGate) -> None:
    gate.version = "2.6.6"
    host = f"127.0.0.1:{free_port()}"
    with pytest.raises(MilvusException) as error:
        search(gate.url, vllm(f"http://{host}"))
    dialled = f'Post "http://{host}/rerank": dial tcp {host}: connect: connection refused'
    assert f"Call service failed, errs:[{dialled}]" == error.value.message


def test_the_key_of_a_credential_is_sent(gate: MilvusGate, engine: EngineDouble) -> None:
    gate.version, gate.credentials, engine.keys = "2.6.6", {"bge": "a-key"}, frozenset({"a-key"})
    assert 2 == search(gate.url, vllm(engine, credential="bge"))[0][0]


def test_a_provider_can_be_disabled(gate: MilvusGate, engine: EngineDouble) -> None:
    gate.version, gate.provider_enabled = "2.6.6", False
    with pytest.raises(MilvusException, match=r"rerank provider: \[vllm\] is disabled"):
        search(gate.url, vllm(engine))


def test_functions_can_be_ignored(gate: MilvusGate, engine: EngineDouble) -> None:
    gate.version, gate.ignores_functions = "2.5.14", True
    assert [0, 1, 2] == [hit[0] for hit in search(gate.url, vllm(engine))]
    assert [] == engine.requests


def test_a_call_can_be_refused_in_either_way(gate: MilvusGate) -> None:
    client = MilvusClient(gate.url, dedicated=True)
    gate.refusals["CreateCollection"] = Refusal("no quota left")
    gate.refusals["DropCollection"] = Refusal("permission deny", grpc.StatusCode.PERMISSION_DENIED)
    with pytest.raises(MilvusException, match="no quota left"):
        client.create_collection("new", dimension=2)
    with pytest.raises(grpc.RpcError, match="permission deny"):
        client.drop_collection(COLLECTION)
    client.close()


@pytest.mark.parametrize(
    ("connection", "words"),
    [({}, "missing authorization in header"), ({"token": "root:wrong"}, "auth check failure, please check username")],
)
def test_only_the_token_lets_in(gate: MilvusGate, connection: dict[str, str], words: str) -> None:
    gate.token = TOKEN
    assert 3 == len(search(gate.url, token=TOKEN))
    with pytest.raises(MilvusException) as error:
        search(gate.url, token=connection.get("token", ""))
    assert isinstance(error.value.__cause__, grpc.RpcError)
    assert words in str(error.value.__cause__)


def test_an_answer_can_come_late_or_never(gate: MilvusGate) -> None:
    client = MilvusClient(gate.url, dedicated=True)
    gate.delays["GetVersion"] = 0.3
    begun = time.monotonic()
    client.get_server_version()
    assert time.monotonic() - begun >= 0.3
    gate.delays["GetVersion"] = 3600.0
    with pytest.raises(grpc.RpcError, match="DEADLINE_EXCEEDED"):
        client.get_server_version(timeout=0.3)
    client.close()
