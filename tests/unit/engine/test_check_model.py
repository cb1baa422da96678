"""The init container that reads a model's files: what it makes of config.json, in folders where nothing is missing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from rerank_operator.api.reasons import Reason
from rerank_operator.catalog.families import families
from rerank_operator.catalog.models import entries
from rerank_operator.diagnosis.step_words import read_warning
from rerank_operator.engine import check_model
from tests.produces import produces
from tests.unit.engine.model_step import CLASSIFIER, CONFIG, CPU, GPU, Model

if TYPE_CHECKING:
    from pathlib import Path

CAUSAL = {**CONFIG, "architectures": ["Qwen3ForSequenceClassification"], "max_position_embeddings": 1024}


@pytest.fixture
def model(tmp_path: Path) -> Model:
    return Model(tmp_path)


SERVED = [family for family in families() if family.refusal is None]
REFUSED = [family for family in families() if family.refusal is not None]


@pytest.mark.parametrize("family", SERVED, ids=lambda family: family.name)
def test_a_model_without_an_entry_is_served_as_its_family_is(model: Model, family: Any) -> None:
    for pattern in family.architectures:
        model.write("config.json", {**CONFIG, "architectures": [pattern.replace("*", "Some")]})
        found = model.check(model={"trustRemoteCode": True})

        assert {"family": family.name, "warning": family.warning} == found.said
        assert family.warning == read_warning(json.dumps(found.said))
        overrides = {"hf-overrides": json.dumps(family.hf_overrides)} if family.hf_overrides else {}
        assert {"max-model-len": 514 - family.extra_positions, **overrides} == found.arguments


@produces(Reason.RECIPE_UNKNOWN, Reason.UNSUPPORTED_ARCHITECTURE, by="step")
@pytest.mark.parametrize("family", REFUSED, ids=lambda family: family.name)
def test_a_family_that_cannot_be_served_is_refused_with_a_remedy(model: Model, family: Any) -> None:
    for pattern in family.architectures:
        name = pattern.replace("*", "Some")
        model.write("config.json", {**CONFIG, "architectures": [name]})
        reason, detail = model.check().fault

        assert family.refusal.reason is reason
        assert f"config.json says {name}. {family.refusal.message}" == detail


def test_every_family_comes_before_the_pattern_that_would_hide_it() -> None:
    for position, family in enumerate(families()):
        for pattern in family.architectures:
            name = pattern.replace("*", "Some")
            listed = [f.model_dump(mode="json", by_alias=True) for f in families()]
            assert family.name == (check_model.family_of({"architectures": [name]}, listed) or {})["name"], position


@pytest.mark.parametrize(
    ("architectures", "words"),
    [
        (["BertForMaskedLM"], "config.json says BertForMaskedLM, of which nothing is known"),
        ([], "config.json says no architecture, of which nothing is known"),
        (None, "config.json says no architecture, of which nothing is known"),
    ],
)
def test_an_architecture_that_nobody_knows_is_refused(model: Model, architectures: Any, words: str) -> None:
    model.write("config.json", {**CONFIG, "architectures": architectures})
    model.refuses(Reason.UNSUPPORTED_ARCHITECTURE, words)
    model.write("config.json", {key: value for key, value in CONFIG.items() if key != "architectures"})
    model.refuses(Reason.UNSUPPORTED_ARCHITECTURE, "nothing is known")


ENDLESS = 1000000000000000019884624838656
LENGTHS: dict[str, tuple[dict[str, Any], dict[str, Any], int | None]] = {
    # What config.json says, what tokenizer_config.json says, the tokens that are served.
    "two rows of the table are no tokens": ({}, {}, 512),
    "bge-reranker-v2-m3": ({"max_position_embeddings": 8194}, {"model_max_length": 8192}, 8192),
    "longer than is served unasked": ({"max_position_embeddings": 32770}, {}, 8192),
    "the tokenizer allows less": ({}, {"model_max_length": 256}, 256),
    "the tokenizer knows no limit": ({}, {"model_max_length": ENDLESS}, 512),
    "the tokenizer knows no limit, as a float": ({}, {"model_max_length": 1e30}, 512),
    "the tokenizer says nonsense": ({}, {"model_max_length": "512"}, 512),
    "the tokenizer says -1": ({}, {"model_max_length": -1}, 512),
    "nothing is said": ({"max_position_embeddings": None}, {}, None),
    "nonsense is said": ({"max_position_embeddings": "many"}, {}, None),
    "one level below": ({"max_position_embeddings": None, "text_config": {"max_position_embeddings": 130}}, {}, 128),
}


@pytest.mark.parametrize(("config", "tokenizer", "length"), LENGTHS.values(), ids=LENGTHS)
def test_the_length_of_a_pair_is_what_the_files_allow(
    model: Model, config: dict[str, Any], tokenizer: dict[str, Any], length: int | None
) -> None:
    model.write("config.json", {**CONFIG, **config})
    model.write("tokenizer_config.json", tokenizer)

    assert ({} if length is None else {"max-model-len": length}) == model.check().arguments


def test_a_model_without_settings_of_its_tokenizer_is_as_long_as_its_table(model: Model) -> None:
    model.remove("tokenizer_config.json")
    assert {"max-model-len": 512} == model.check().arguments


def test_a_length_that_the_spec_says_is_on_the_command_line_already(model: Model) -> None:
    assert {} == model.check(model={"maxLength": 300}).arguments


LABELS: dict[str, tuple[dict[str, Any], int]] = {
    "two labels": ({"id2label": {"0": "no", "1": "yes"}}, 2),
    "as many as Transformers takes": ({"id2label": None}, 2),
    "none are named": ({"id2label": {}}, 2),
    "only their number": ({"id2label": None, "num_labels": 3}, 3),
    "another number than names": ({"num_labels": 5}, 5),
    "nonsense": ({"id2label": 7}, 2),
}


@produces(Reason.NOT_A_RERANKER, by="step")
@pytest.mark.parametrize(("config", "labels"), LABELS.values(), ids=LABELS)
def test_a_classifier_of_several_labels_is_refused(model: Model, config: dict[str, Any], labels: int) -> None:
    model.write("config.json", {**CONFIG, **config})
    model.refuses(Reason.NOT_A_RERANKER, f"a classifier of {labels} labels")


@pytest.mark.parametrize("config", [{"id2label": None, "num_labels": 1}, {"id2label": {"0": "relevance"}}])
def test_a_classifier_of_one_label_is_a_reranker(model: Model, config: dict[str, Any]) -> None:
    model.write("config.json", {**CONFIG, **config})
    assert 0 == model.check().status


def overriding(**overrides: Any) -> dict[str, Any]:
    return {"engine": {"args": ["--hf-overrides", json.dumps(overrides)]}}


JUDGES: dict[str, tuple[dict[str, Any], int]] = {
    "Qwen3-Reranker": ({"classifier_from_token": ["no", "yes"], "is_original_qwen3_reranker": True}, 1),
    "one word against another": ({"classifier_from_token": ["0", "1"], "method": "from_2_way_softmax"}, 1),
    "one word": ({"classifier_from_token": ["Yes"], "method": "no_post_processing"}, 1),
    "two words, each for itself": ({"classifier_from_token": ["no", "yes"], "method": "no_post_processing"}, 2),
}


@pytest.mark.parametrize(("how", "labels"), JUDGES.values(), ids=JUDGES)
def test_a_language_model_that_the_user_makes_a_judge_is_counted_as_vllm_counts(
    model: Model, how: dict[str, Any], labels: int
) -> None:
    model.write("config.json", {"architectures": ["Qwen3ForCausalLM"], "max_position_embeddings": 4096})
    found = model.check(**overriding(architectures=["Qwen3ForSequenceClassification"], **how))

    assert (labels != 1) == (found.status == 1)
    if labels == 1:
        assert ("seq-cls-llm", {"max-model-len": 4096}) == (found.said["family"], found.arguments)


def test_what_the_user_overrides_counts_and_ours_is_left_out(model: Model) -> None:
    model.write("config.json", {**CONFIG, "architectures": ["NewForSequenceClassification"], "id2label": None})
    found = model.check(**overriding(num_labels=1, max_position_embeddings=100), model={"trustRemoteCode": True})

    assert ("gte", {"max-model-len": 100}) == (found.said["family"], found.arguments)


@produces(Reason.TRUST_REMOTE_CODE_REQUIRED, by="step")
def test_a_model_with_code_of_its_own_needs_trust(model: Model) -> None:
    model.write("config.json", {**CONFIG, "architectures": ["NewForSequenceClassification"]})
    model.refuses(Reason.TRUST_REMOTE_CODE_REQUIRED, "NewForSequenceClassification")


def modular(model: Model, *kinds: str, model_type: str = "CrossEncoder") -> None:
    model.write("config_sentence_transformers.json", {"model_type": model_type})
    base = "sentence_transformers.base.modules"
    model.write("modules.json", [{"idx": n, "type": f"{base}.{kind}.{kind}"} for n, kind in enumerate(kinds)])


@produces(Reason.MODEL_REFUSED, by="step")
@pytest.mark.parametrize("name", ["our/model", "BAAI/bge-reranker-v2-m3"])
def test_a_cross_encoder_whose_head_vllm_leaves_out_is_refused(model: Model, name: str) -> None:
    modular(model, "Transformer", "Pooling", "Dense", "LayerNorm", "Dense")
    model.refuses(Reason.MODEL_REFUSED, "Pooling and Dense and LayerNorm and Dense", name=name)


def test_a_cross_encoder_of_one_module_is_served(model: Model) -> None:
    modular(model, "Transformer")
    assert 0 == model.check().status
    modular(model, "Transformer", "LogitScore")
    assert 0 == model.check().status


def test_modules_of_an_embedding_model_are_no_head(model: Model) -> None:
    modular(model, "Transformer", "Pooling", model_type="SentenceTransformer")
    model.write("config.json", {**CONFIG, "architectures": ["XLMRobertaModel"]})
    assert "embedding" == model.check().said["family"]


@pytest.mark.parametrize("content", ["[]", "null", "[1, null]", "{}", '"x"'])
def test_modules_that_are_no_list_name_no_head(model: Model, content: str) -> None:
    modular(model, "Transformer")
    model.write("modules.json", content)
    assert 0 == model.check().status


def test_files_of_a_model_with_an_entry_must_be_its_own(model: Model) -> None:
    assert (0, {"family": "", "warning": ""}, None) == model.check(name="BAAI/bge-reranker-v2-m3")


@produces(Reason.MODEL_MISMATCH, by="step")
@pytest.mark.parametrize("architectures", [["Qwen3ForCausalLM"], [], None])
def test_the_wrong_folder_is_told_from_the_model_that_the_spec_names(model: Model, architectures: Any) -> None:
    model.write("config.json", {**CONFIG, "architectures": architectures})
    said = " and ".join(architectures or ["no architecture"])
    detail = f"config.json says {said}, and BAAI/bge-reranker-v2-m3 is a {CLASSIFIER}"

    assert (Reason.MODEL_MISMATCH, detail) == model.check(name="BAAI/bge-reranker-v2-m3").fault
    based_on = {"basedOn": "BAAI/bge-reranker-v2-m3"}
    assert (Reason.MODEL_MISMATCH, detail) == model.check(name="our-own", model=based_on).fault


def test_a_model_made_from_a_known_one_is_served_as_that_is(model: Model) -> None:
    model.write("config.json", {**CONFIG, "architectures": ["Qwen3ForCausalLM"]})
    found = model.check(name="our-qwen", model={"basedOn": "Qwen/Qwen3-Reranker-0.6B"})

    assert (0, {"family": "", "warning": ""}, None) == found


def test_who_overrides_the_architecture_of_a_known_model_knows_better(model: Model) -> None:
    model.write("config.json", {**CONFIG, "architectures": ["BertForSequenceClassification"]})
    assert 0 == model.check(name="BAAI/bge-reranker-v2-m3", **overriding(num_labels=1)).status


def test_every_entry_of_the_catalog_accepts_its_own_architecture(model: Model) -> None:
    for entry in (entry for entry in entries() if entry.refusal is None and entry.architectures):
        model.write("config.json", {**CONFIG, "architectures": list(entry.architectures)[:1]})
        found = model.check(name=entry.id, model={"trustRemoteCode": entry.trust_remote_code})
        assert (0, None) == (found.status, found.arguments), entry.id


MEMORY: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    # config.json, the spec, and the arguments beyond the length of a pair.
    "an encoder": (CONFIG, {"accelerator": GPU}, {"gpu-memory-utilization": 0.1}),
    # 2 (keys, values) x 2 bytes x 2 layers x 4 heads x 16, for 8 pairs of 1024 tokens
    "a language model": (
        CAUSAL,
        {"accelerator": GPU},
        {"gpu-memory-utilization": 0.1, "kv-cache-memory-bytes": 512 * 1024 * check_model.PAIRS_AT_ONCE},
    ),
    "fewer heads are kept": (
        {**CAUSAL, "num_key_value_heads": 1, "head_dim": 32},
        {"accelerator": GPU},
        {"gpu-memory-utilization": 0.1, "kv-cache-memory-bytes": 256 * 1024 * check_model.PAIRS_AT_ONCE},
    ),
    "one level below": (
        {"architectures": ["Qwen3ForSequenceClassification"], "num_labels": 1, "text_config": CAUSAL},
        {"accelerator": GPU},
        {"gpu-memory-utilization": 0.1, "kv-cache-memory-bytes": 512 * 1024 * check_model.PAIRS_AT_ONCE},
    ),
    "its files do not say": ({**CAUSAL, "hidden_size": None}, {"accelerator": GPU}, {}),
    "its files say nonsense": ({**CAUSAL, "num_hidden_layers": "12"}, {"accelerator": GPU}, {}),
    "the user says": (CAUSAL, {"accelerator": GPU, "engine": {"args": ["--gpu-memory-utilization=0.5"]}}, {}),
    "no GPU": (CAUSAL, {"accelerator": CPU}, {}),
}


@pytest.mark.parametrize(("config", "spec", "memory"), MEMORY.values(), ids=MEMORY)
def test_the_memory_of_a_gpu_is_what_the_model_needs(
    model: Model, config: dict[str, Any], spec: dict[str, Any], memory: dict[str, Any]
) -> None:
    model.write("config.json", config)
    arguments = model.check(**spec).arguments

    assert arguments is not None
    assert memory == {name: value for name, value in arguments.items() if name != "max-model-len"}


def test_a_length_that_the_spec_says_decides_about_the_cache(model: Model) -> None:
    model.write("config.json", CAUSAL)
    found = model.check(accelerator=GPU, model={"maxLength": 100})

    assert {
        "gpu-memory-utilization": 0.1,
        "kv-cache-memory-bytes": 512 * 100 * check_model.PAIRS_AT_ONCE,
    } == found.arguments
