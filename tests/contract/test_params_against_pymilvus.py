"""What is published, pushed through pymilvus, against what each generation of Milvus's vllm provider reads.

`READ` is the table of what Milvus's own rerank code did with these keys when it was run; every generation ignores what
is not in its column.
"""

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest
from pymilvus import Function, FunctionType
from pymilvus.client.prepare import Prepare
from pymilvus.function_chain import FunctionChain, FunctionChainStage, col, fn

from rerank_operator.milvus.config_map import build_data
from rerank_operator.milvus.publication import Publication
from rerank_operator.milvus.versions import GENERATIONS
from tests.builders import a_publication
from tests.contract.chart import ROOT
from tests.contract.pages import blocks

PUBLICATION = a_publication(
    function_name="r",
    endpoint="http://svc.ns.svc:8000",
    max_client_batch_size=64,
    truncate_prompt_tokens=512,
    credential="vllmkey",
    secret="callers",  # noqa: S106 - its name
    timeout_ms=45000,
)
BARE = dataclasses.replace(PUBLICATION, truncate_prompt_tokens=None, credential=None, secret=None, timeout_ms=None)

QUERIES = ["héllo", "b"]
SENT = {
    "reranker": "model",
    "provider": "vllm",
    "queries": '["h\\u00e9llo", "b"]',
    "endpoint": "http://svc.ns.svc:8000",
    "max_client_batch_size": "64",
    "max_batch": "64",
    "truncate_prompt_tokens": "512",
    "credential": "vllmkey",
    "timeout_ms": "45000",
}
READ = {
    "2.6.0": {
        "reranker": "model",
        "provider": "vllm",
        "queries": '["h\\u00e9llo", "b"]',
        "endpoint": "http://svc.ns.svc:8000",
        "max_batch": "64",
        "truncate_prompt_tokens": "512",
    },
    "2.6.1": {
        "reranker": "model",
        "provider": "vllm",
        "queries": '["h\\u00e9llo", "b"]',
        "endpoint": "http://svc.ns.svc:8000",
        "max_client_batch_size": "64",
        "truncate_prompt_tokens": "512",
        "credential": "vllmkey",
    },
    "3.0": {
        "reranker": "model",
        "provider": "vllm",
        "queries": '["h\\u00e9llo", "b"]',
        "endpoint": "http://svc.ns.svc:8000",
        "max_client_batch_size": "64",
        "truncate_prompt_tokens": "512",
        "credential": "vllmkey",
        "timeout_ms": "45000",
    },
}
# What is still sent to a generation that is known, and ignored there.
IGNORED = {
    "2.6.0": {"max_client_batch_size": "64"},
    "2.6.1": {"max_batch": "64"},
    "3.0": {"max_batch": "64"},
}
# Keys of the provider that nobody publishes: it is for Zilliz Cloud.
NOT_PUBLISHED = {"2.6.0": set[str](), "2.6.1": {"integration_id"}, "3.0": {"integration_id"}}
NUMBERS = {"max_client_batch_size", "max_batch", "truncate_prompt_tokens", "timeout_ms"}

every_generation = pytest.mark.parametrize("generation", READ)


def published(publication: Publication, key: str) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(build_data(publication)[key])
    return values


def as_sent(publication: Publication) -> Any:
    """What pymilvus puts into a search request for the published function."""
    function = published(publication, "function.json")
    ranker = Function(
        name=function["name"],
        input_field_names=function["input_field_names"],
        function_type=FunctionType[function["function_type"]],
        params={**function["params"], "queries": QUERIES},
    )
    (sent,) = Prepare.ranker_to_function_score(ranker).functions
    return sent


def pairs_sent(publication: Publication) -> dict[str, str]:
    sent = as_sent(publication)
    pairs = {pair.key: pair.value for pair in sent.params}
    assert len(sent.params) == len(pairs)
    return pairs


def chain_sent(publication: Publication) -> Any:
    """What pymilvus 3.0 makes of the published chain."""
    chain = published(publication, "function-chain.json")
    made = FunctionChain(FunctionChainStage[chain["stage"]], name=chain["name"]).map(
        chain["output"], fn.rerank_model(col(chain["input_field_name"]), queries=QUERIES, **chain["params"])
    )
    return made.to_proto()


def test_pymilvus_sends_the_params_in_the_form_that_milvus_parses() -> None:
    assert SENT == pairs_sent(PUBLICATION)


def test_pymilvus_sends_a_rerank_function_with_one_input_field() -> None:
    sent = as_sent(PUBLICATION)
    assert ("r", 3, ["text"], []) == (sent.name, sent.type, list(sent.input_field_names), list(sent.output_field_names))


@every_generation
def test_each_generation_finds_in_the_one_set_what_it_reads(generation: str) -> None:
    sent = pairs_sent(PUBLICATION)
    assert READ[generation] == {key: value for key, value in sent.items() if key in READ[generation]}


@every_generation
def test_a_generation_that_is_known_is_sent_what_it_reads_and_the_batch_key_of_the_other(generation: str) -> None:
    known = dataclasses.replace(PUBLICATION, milvus_version=generation)
    assert {**READ[generation], **IGNORED[generation]} == pairs_sent(known)


@every_generation
def test_the_data_of_the_generations_says_what_the_table_says(generation: str) -> None:
    (known,) = (found for found in GENERATIONS if found.name == generation)
    assert {*READ[generation], *NOT_PUBLISHED[generation]} == known.params
    assert known.batch_key in READ[generation]


@every_generation
def test_what_need_not_be_there_is_not_sent_at_all(generation: str) -> None:
    sent = pairs_sent(dataclasses.replace(BARE, milvus_version=generation))
    assert {"reranker", "provider", "queries", "endpoint", "max_client_batch_size", "max_batch"} == set(sent)


@pytest.mark.parametrize("truncate", [-1, 1, 512])
@pytest.mark.parametrize("version", [*READ, None])
def test_a_number_goes_over_the_wire_as_digits_because_milvus_refuses_a_decimal_point(
    truncate: int, version: str | None
) -> None:
    sent = pairs_sent(dataclasses.replace(PUBLICATION, truncate_prompt_tokens=truncate, milvus_version=version))
    numbers = {key: value for key, value in sent.items() if key in NUMBERS}
    assert len(numbers) >= 3
    assert {} == {key: value for key, value in numbers.items() if not re.fullmatch(r"-?[1-9]\d*", value)}


@pytest.mark.parametrize("publication", [PUBLICATION, BARE], ids=["everything", "nothing"])
@pytest.mark.parametrize("key", ["params.json", "function.json", "milvus-lite.json", "function-chain.json"])
def test_no_value_is_a_float_or_null(publication: Publication, key: str) -> None:
    assert {str, int} >= set(types_in(published(publication, key)))


def types_in(value: Any) -> list[type]:
    if isinstance(value, dict):
        return [found for inner in value.values() for found in types_in(inner)]
    if isinstance(value, list):
        return [found for inner in value for found in types_in(inner)]
    return [type(value)]


def test_pymilvus_makes_the_chain_with_typed_params_and_without_a_reranker() -> None:
    sent = chain_sent(PUBLICATION)
    (operation,) = sent.ops
    params = operation.expr.params

    assert ("r", int(FunctionChainStage.L2_RERANK)) == (sent.name, sent.stage)
    assert ("map", "rerank_model", ["$score"]) == (operation.op, operation.expr.name, list(operation.outputs))
    assert ["text"] == [argument.column.name for argument in operation.expr.args]
    assert QUERIES == [query.string_value for query in params["queries"].array_value.values]
    assert {
        "queries": "array_value",
        "provider": "string_value",
        "endpoint": "string_value",
        "max_client_batch_size": "int64_value",
        "truncate_prompt_tokens": "int64_value",
        "credential": "string_value",
        "timeout_ms": "int64_value",
    } == {key: value.WhichOneof("value") for key, value in params.items()}
    assert {
        "provider": "vllm",
        "endpoint": "http://svc.ns.svc:8000",
        "max_client_batch_size": 64,
        "truncate_prompt_tokens": 512,
        "credential": "vllmkey",
        "timeout_ms": 45000,
    } == {key: getattr(value, value.WhichOneof("value")) for key, value in params.items() if key != "queries"}


def test_the_program_in_the_contract_makes_a_chain_that_a_search_takes(tmp_path: Path) -> None:
    (tmp_path / "function-chain.json").write_text(build_data(PUBLICATION)["function-chain.json"], encoding="utf-8")
    (snippet,) = (block for block in blocks(ROOT / "docs" / "contract.md") if block.language == "python")
    program: dict[str, Any] = {}
    exec(compile(snippet.text, snippet.name, "exec"), program)  # noqa: S102 - it is ours, and readers paste it
    program["CONFIG"] = tmp_path
    (sent,) = Prepare.function_chains_schema(program["rerank_chain"]("héllo"), None)

    published_operation, sort = sent.ops
    assert ["héllo"] == [q.string_value for q in published_operation.expr.params["queries"].array_value.values]
    assert published_operation.expr.args == chain_sent(PUBLICATION).ops[0].expr.args
    assert ("sort", ["$score"], True) == (sort.op, list(sort.inputs), sort.params["desc"].bool_value)


@pytest.mark.parametrize("version", ["2.6.0", "2.6.17"])
def test_a_milvus_before_3_is_given_no_chain(version: str) -> None:
    assert "" == build_data(dataclasses.replace(PUBLICATION, milvus_version=version))["function-chain.json"]
