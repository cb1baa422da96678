"""The published Milvus Lite params and the published example, in a real Milvus Lite with a file database.

The vectors put the right document last, so that only the reranker can bring it to the top.
"""

import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Iterator

import pytest
from milvus_lite.server_manager import server_manager_instance
from pymilvus import AnnSearchRequest, DataType, Function, FunctionType, MilvusClient

from rerank_operator.milvus.config_map import build_data
from tests.builders import a_publication
from tests.doubles.engine import EngineDouble
from tests.doubles.rerank_answers import score_all

QUESTION = "What is the capital of France?"
RIGHT_ANSWER = "The capital of France is Paris."
DOCUMENTS = [
    "Horses and cows are both animals.",
    "Bread is baked from flour and water.",
    "The capital of Brazil is Brasilia.",
    "A kettle boils water for tea.",
    "Rain falls mostly in autumn.",
    RIGHT_ANSWER,
]
COLLECTION = "documents"
MODEL = "tiny-reranker"


@pytest.fixture
def engine() -> Iterator[EngineDouble]:
    with EngineDouble(model=MODEL) as running:
        yield running


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve a file database; any number of clients, also of other processes, may use it."""
    database = tmp_path_factory.mktemp("milvus") / "milvus.db"
    yield server_manager_instance.start_and_get_uri(str(database))
    server_manager_instance.release_server(str(database))


@pytest.fixture(scope="module")
def client(address: str) -> Iterator[MilvusClient]:
    connected = MilvusClient(address, dedicated=True)
    create_collection(connected)
    yield connected
    connected.close()


def create_collection(client: MilvusClient) -> None:
    schema = client.create_schema(auto_id=False)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("text", DataType.VARCHAR, max_length=512)
    index = client.prepare_index_params()
    for field in ("near", "far"):
        schema.add_field(field, DataType.FLOAT_VECTOR, dim=2)
        index.add_index(field, index_type="FLAT", metric_type="L2")
    client.create_collection(COLLECTION, schema=schema, index_params=index)
    rows = [
        {"id": number, "text": text, "near": [float(number), 0.0], "far": [0.0, float(number)]}
        for number, text in enumerate(DOCUMENTS)
    ]
    client.insert(COLLECTION, rows)


def published(engine: EngineDouble) -> dict[str, str]:
    return build_data(a_publication(endpoint=engine.url, model=MODEL))


def lite_function(engine: EngineDouble) -> Function:
    params = json.loads(published(engine)["milvus-lite.json"])
    return Function(
        name="capitals",
        input_field_names=["text"],
        function_type=FunctionType.RERANK,
        params={**params, "queries": [QUESTION]},
    )


def search(client: MilvusClient, ranker: Function | None, limit: int = 6) -> list[str]:
    (hits,) = client.search(
        COLLECTION, [[0.0, 0.0]], anns_field="near", limit=limit, output_fields=["text"], ranker=ranker
    )
    return [hit["entity"]["text"] for hit in hits]


def test_the_published_params_bring_the_right_document_of_a_search_to_the_top(
    client: MilvusClient, engine: EngineDouble
) -> None:
    assert RIGHT_ANSWER == search(client, ranker=None)[-1]
    assert RIGHT_ANSWER == search(client, lite_function(engine))[0]


def test_the_published_params_bring_the_right_document_of_a_hybrid_search_to_the_top(
    client: MilvusClient, engine: EngineDouble
) -> None:
    requests = [AnnSearchRequest([[0.0, 0.0]], field, {}, limit=6) for field in ("near", "far")]
    (hits,) = client.hybrid_search(COLLECTION, requests, ranker=lite_function(engine), limit=3, output_fields=["text"])
    assert RIGHT_ANSWER == hits[0]["entity"]["text"]
    assert sorted(DOCUMENTS) == sorted(engine.requests[0].body["documents"]), "each document once"


def test_lite_sends_the_documented_request(client: MilvusClient, engine: EngineDouble) -> None:
    search(client, lite_function(engine))
    (request,) = engine.requests
    assert ("/v1/rerank", "Bearer not-needed") == (request.path, request.headers["Authorization"])
    assert {
        "model": MODEL,
        "query": QUESTION,
        "documents": DOCUMENTS,
        "top_n": len(DOCUMENTS),
    } == request.body


def test_lite_reranks_more_documents_than_the_limit_of_a_search(client: MilvusClient, engine: EngineDouble) -> None:
    assert [RIGHT_ANSWER] == search(client, lite_function(engine), limit=1)


def test_lite_reranks_only_what_the_parts_of_a_hybrid_search_return(client: MilvusClient, engine: EngineDouble) -> None:
    requests = [AnnSearchRequest([[0.0, 0.0]], field, {}, limit=2) for field in ("near", "far")]
    client.hybrid_search(COLLECTION, requests, ranker=lite_function(engine), limit=1)
    assert DOCUMENTS[:2] == sorted(engine.requests[0].body["documents"], key=DOCUMENTS.index)


def test_the_scores_of_a_reranked_search_are_those_of_the_engine(client: MilvusClient, engine: EngineDouble) -> None:
    (hits,) = client.search(COLLECTION, [[0.0, 0.0]], anns_field="near", limit=6, ranker=lite_function(engine))
    expected = [result["relevance_score"] for result in score_all(QUESTION, DOCUMENTS)]
    assert pytest.approx(expected) == [hit["distance"] for hit in hits]


OTHER_QUESTION = "What is the capital of Brazil?"


@pytest.fixture
def config(engine: EngineDouble, tmp_path: pathlib.Path) -> pathlib.Path:
    """The mounted ConfigMap."""
    for name, text in published(engine).items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def run_example(config: pathlib.Path, address: str, *questions: str) -> tuple[list[str], str]:
    """Run the published program in a process of its own, as an application pod would; its lines, and its errors."""
    done = subprocess.run(
        [sys.executable, str(config / "example.py"), COLLECTION, *questions],
        env={**os.environ, "MILVUS_ADDRESS": address, "RERANK_CONFIG_DIR": str(config)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert 0 == done.returncode, done.stderr
    return done.stdout.splitlines(), done.stderr


def best(lines: list[str], title: str) -> str:
    """The first hit under a title."""
    return lines[lines.index(title) + 1].split(" ", 1)[1]


def test_the_published_example_runs_as_it_stands(
    client: MilvusClient, address: str, engine: EngineDouble, config: pathlib.Path
) -> None:
    lines, errors = run_example(config, address, QUESTION)

    assert RIGHT_ANSWER == best(lines, f"search by near: {QUESTION}")
    assert RIGHT_ANSWER == best(lines, f"hybrid search by near, far: {QUESTION}")
    assert [QUESTION, QUESTION] == [request.body["query"] for request in engine.requests]
    assert "not reranked" not in errors


def test_the_published_example_asks_several_questions_in_one_search(
    client: MilvusClient, address: str, config: pathlib.Path
) -> None:
    lines, _ = run_example(config, address, QUESTION, OTHER_QUESTION)

    assert RIGHT_ANSWER == best(lines, f"search by near: {QUESTION}")
    for title in ("search by near", "hybrid search by near, far"):
        assert "The capital of Brazil is Brasilia." == best(lines, f"{title}: {OTHER_QUESTION}")


def test_the_published_example_searches_without_the_reranker_when_that_fails(
    client: MilvusClient, address: str, engine: EngineDouble, config: pathlib.Path
) -> None:
    engine.mode = "engine-dead"
    lines, errors = run_example(config, address, QUESTION)

    assert 2 == errors.count("not reranked: ")
    assert len(lines) > 2
