"""What docs/apps/rerank_request.py sends, and which answers it does not believe."""

from __future__ import annotations

import runpy
from typing import TYPE_CHECKING, Any

import pytest

from tests.apps.environments import APPS
from tests.apps.programs import MODEL, from_keys, mounted
from tests.doubles.engine import EngineDouble
from tests.doubles.milvus_lite_server import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

QUESTION, TEXTS = "What is the capital of France?", ["Horses are animals.", "The capital of France is Paris."]


@pytest.fixture
def engine() -> Iterator[EngineDouble]:
    with EngineDouble(model=MODEL) as running:
        yield running


@pytest.fixture
def module(engine: EngineDouble, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    for name, text in from_keys(engine.url).items():
        monkeypatch.setenv(name, text)
    monkeypatch.delenv("RERANK_API_KEY", raising=False)
    return runpy.run_path(str(APPS / "rerank_request.py"))


def test_the_texts_come_back_by_position_best_first(module: dict[str, Any], engine: EngineDouble) -> None:
    assert [1, 0] == [index for index, _ in module["rerank"](QUESTION, TEXTS)]
    (request,) = engine.requests
    assert "/v1/rerank" == request.path
    assert "Authorization" not in request.headers
    assert {"model": MODEL, "query": QUESTION, "documents": TEXTS, "truncate_prompt_tokens": -1} == request.body


def test_the_keys_are_read_from_the_mounted_folder_too(
    module: dict[str, Any], engine: EngineDouble, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in from_keys(engine.url):
        monkeypatch.delenv(name)
    for name, text in mounted(tmp_path, engine.url).items():
        monkeypatch.setenv(name, text)

    assert [1, 0] == [index for index, _ in module["rerank"](QUESTION, TEXTS)]


def test_a_key_is_sent_where_there_is_one(
    module: dict[str, Any], engine: EngineDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.keys = frozenset({"a-key"})
    with pytest.raises(module["NotRerankedError"], match="401"):
        module["rerank"](QUESTION, TEXTS)

    monkeypatch.setenv("RERANK_API_KEY", "a-key")
    assert 2 == len(module["rerank"](QUESTION, TEXTS))


@pytest.mark.parametrize(
    "mode",
    ["missing-result", "extra-result", "duplicate-index", "nan-score", "null-score", "engine-dead", "not-vllm"],
)
def test_an_answer_that_is_not_whole_is_not_believed(module: dict[str, Any], engine: EngineDouble, mode: str) -> None:
    engine.mode = mode
    with pytest.raises(module["NotRerankedError"], match=r"^not reranked: "):
        module["rerank"](QUESTION, TEXTS)


def test_a_reranker_that_is_gone_is_told(module: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RERANK_URL", f"http://127.0.0.1:{free_port()}/v1/rerank")
    with pytest.raises(module["NotRerankedError"], match="refused"):
        module["rerank"](QUESTION, TEXTS)


@pytest.mark.parametrize(("wanted", "given"), [(50, 50), (300, 256)])
def test_no_more_texts_are_asked_for_than_the_reranker_takes(module: dict[str, Any], wanted: int, given: int) -> None:
    assert given == module["candidates"](wanted)
