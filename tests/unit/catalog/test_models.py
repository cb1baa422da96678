"""The catalog as data: every entry, and in full those that users ask for most."""

import datetime as dt
from collections.abc import Callable
from typing import Final

import pytest

from rerank_operator.catalog.entry import GIB, Entry, Kind, Level, ScoreRange
from rerank_operator.catalog.models import entries, lookup
from rerank_operator.catalog.templates import template_keys

READ: Final = dt.date(2026, 11, 24)
EVERY_LANGUAGE: Final = ["en", "zh", "ar", "ru", "es", "fr", "de", "ja", "ko", "hi", "pt", "it"]
SERVED: Final = tuple(entry for entry in entries() if entry.refusal is None)
REFUSED: Final = tuple(entry for entry in entries() if entry.refusal is not None)
# Architectures that read from left to right and keep a cache; all others look in both directions.
CAUSAL: Final = {
    "GemmaForCausalLM",
    "JinaForRanking",
    "JinaVLForRanking",
    "Qwen2ForCausalLM",
    "Qwen3ForCausalLM",
    "Qwen3ForSequenceClassification",
    "Qwen3VLForConditionalGeneration",
}
# Their position tables have two rows more than there are usable tokens.
ROBERTA: Final = {
    "XLMRobertaForSequenceClassification",
    "XLMRobertaModel",
    "RobertaForSequenceClassification",
}
POSITIONS: Final = {514, 1026, 8194}
_ROUNDED: Final = 0.0051  # figures have two decimals

SERVED_IDS: Final = {
    "BAAI/bge-reranker-base",
    "BAAI/bge-reranker-large",
    "BAAI/bge-reranker-v2-m3",
    "BAAI/bge-reranker-v2-gemma",
    "jinaai/jina-reranker-v2-base-multilingual",
    "jinaai/jina-reranker-m0",
    "jinaai/jina-reranker-v3",
    "jinaai/jina-reranker-v3.5",
    "jinaai/jina-colbert-v2",
    "Qwen/Qwen3-Reranker-0.6B",
    "Qwen/Qwen3-Reranker-4B",
    "Qwen/Qwen3-Reranker-8B",
    "tomaarsen/Qwen3-Reranker-0.6B-seq-cls",
    "tomaarsen/Qwen3-Reranker-4B-seq-cls",
    "tomaarsen/Qwen3-Reranker-8B-seq-cls",
    "Qwen/Qwen3-VL-Reranker-2B",
    "Qwen/Qwen3-VL-Reranker-8B",
    "mixedbread-ai/mxbai-rerank-base-v2",
    "mixedbread-ai/mxbai-rerank-large-v2",
    "Alibaba-NLP/gte-reranker-modernbert-base",
    "Alibaba-NLP/gte-multilingual-reranker-base",
    "ibm-granite/granite-embedding-reranker-english-r2",
    "cross-encoder/ms-marco-MiniLM-L6-v2",
    "cross-encoder/ms-marco-MiniLM-L12-v2",
    "cross-encoder/ms-marco-TinyBERT-L2-v2",
    "cross-encoder/quora-roberta-base",
    "cross-encoder/ms-marco-electra-base",
    "maidalun1020/bce-reranker-base_v1",
    "nvidia/llama-nemotron-rerank-1b-v2",
    "nvidia/llama-nemotron-rerank-vl-1b-v2",
    "zeroentropy/zerank-2-reranker",
    "zeroentropy/zerank-1-reranker",
    "zeroentropy/zerank-1-small-reranker",
    "polaria-tech/zerank-2-reranker-vllm",
    "answerdotai/answerai-colbert-small-v1",
    "colbert-ir/colbertv2.0",
    "lightonai/GTE-ModernColBERT-v1",
    "lightonai/LateOn",
    "BAAI/bge-m3",
    "Qwen/Qwen3-Embedding-0.6B",
    "Qwen/Qwen3-Embedding-4B",
    "Qwen/Qwen3-Embedding-8B",
    "Alibaba-NLP/gte-multilingual-base",
    "Alibaba-NLP/gte-modernbert-base",
    "intfloat/multilingual-e5-large",
}
REFUSED_IDS: Final = {
    "mixedbread-ai/mxbai-rerank-xsmall-v1",
    "mixedbread-ai/mxbai-rerank-base-v1",
    "mixedbread-ai/mxbai-rerank-large-v1",
    "cross-encoder/nli-deberta-v3-base",
    "cross-encoder/nli-deberta-base",
    "cross-encoder/ettin-reranker-17m-v1",
    "cross-encoder/ettin-reranker-32m-v1",
    "cross-encoder/ettin-reranker-68m-v1",
    "cross-encoder/ettin-reranker-150m-v1",
    "cross-encoder/ettin-reranker-400m-v1",
    "cross-encoder/ettin-reranker-1b-v1",
    "jinaai/jina-reranker-v1-turbo-en",
    "jinaai/jina-reranker-v1-tiny-en",
    "BAAI/bge-reranker-v2-minicpm-layerwise",
    "BAAI/bge-reranker-v2.5-gemma2-lightweight",
    "nvidia/Nemotron-3.5-Rerank-8B-BF16",
    "ContextualAI/ctxl-rerank-v2-instruct-multilingual-1b",
    "ContextualAI/ctxl-rerank-v2-instruct-multilingual-2b",
    "ContextualAI/ctxl-rerank-v2-instruct-multilingual-6b",
    "KaLM-Embedding/KaLM-Reranker-V1-Nano",
    "infgrad/Prism-Qwen3.5-Reranker-0.8B",
    "lightonai/LightOn-rerank-PW-0.8B",
    "lightonai/LightOn-rerank-LW-0.8B",
    "Querit/Querit",
    "ByteDance/ListConRanker",
    "openbmb/MiniCPM-Reranker",
    "castorini/monot5-base-msmarco-10k",
}


def those(condition: Callable[[Entry], object], among: tuple[Entry, ...] = SERVED) -> pytest.MarkDecorator:
    """One test for each entry that fulfils the condition; there has to be one."""
    chosen = [entry for entry in among if condition(entry)]
    assert chosen
    return pytest.mark.parametrize("entry", chosen, ids=lambda entry: entry.id)


every_entry = those(lambda _: True, entries())
every_served = those(lambda _: True)
every_refused = those(lambda _: True, REFUSED)
every_templated = those(lambda entry: entry.template)


def test_a_known_model_is_found_whatever_the_case_of_its_name() -> None:
    assert "BAAI/bge-reranker-v2-m3" == lookup("baai/BGE-reranker-v2-m3").id
    assert lookup("baai/BGE-reranker-v2-m3").is_known


def test_a_model_is_found_by_its_former_name() -> None:
    assert "cross-encoder/ms-marco-MiniLM-L6-v2" == lookup("cross-encoder/ms-marco-MiniLM-L-6-v2").id
    assert "zeroentropy/zerank-2-reranker" == lookup("zeroentropy/zerank-2").id


def test_a_model_that_is_not_known_has_no_facts() -> None:
    assert Entry(id="me/mine") == lookup("me/mine")
    assert not lookup("me/mine").is_known


def test_a_name_leads_to_one_entry_only() -> None:
    names = [name.lower() for entry in entries() for name in (entry.id, *entry.aliases)]
    assert [] == sorted({name for name in names if names.count(name) > 1})


def test_every_model_that_vllm_serves_has_an_entry() -> None:
    assert set() == SERVED_IDS - {entry.id for entry in SERVED}


def test_every_model_that_users_try_in_vain_has_an_entry() -> None:
    assert set() == REFUSED_IDS - {entry.id for entry in REFUSED}


@every_entry
def test_an_entry_names_its_sources(entry: Entry) -> None:
    assert entry.sources
    assert entry.is_known


@every_served
def test_what_is_served_is_described(entry: Entry) -> None:
    assert entry.architectures
    assert entry.languages
    assert entry.licence is not None
    assert entry.verified is not None
    assert READ <= min(entry.licence.as_of, entry.verified.date)


@those(lambda entry: entry.size, entries())
def test_weights_are_two_bytes_for_each_parameter(entry: Entry) -> None:
    assert entry.size is not None
    assert pytest.approx(entry.size.parameters * 2 / GIB, abs=_ROUNDED) == entry.size.weights_gib
    assert entry.size.weights_gib <= entry.size.disk_gib + _ROUNDED


@every_refused
def test_a_refusal_tells_why_and_ends_with_a_remedy(entry: Entry) -> None:
    assert entry.refusal is not None
    assert entry.refusal.reason.endswith(".")
    assert entry.refusal.remedy.endswith(".")
    assert entry.refusal.alternatives
    assert any(name in entry.refusal.remedy for name in entry.refusal.alternatives)


@every_refused
def test_every_alternative_is_a_reranker_that_is_served(entry: Entry) -> None:
    assert entry.refusal is not None
    for name in entry.refusal.alternatives:
        other = lookup(name)
        assert name == other.id
        assert other.is_known
        assert other.refusal is None
        assert Kind.BI_ENCODER is not other.kind


@those(lambda entry: entry.warning)
def test_a_warning_is_a_sentence(entry: Entry) -> None:
    assert entry.warning.endswith(".")


@those(lambda entry: ROBERTA & set(entry.architectures))
def test_a_length_of_roberta_leaves_out_the_two_rows_without_a_token(entry: Entry) -> None:
    assert entry.max_length in {positions - 2 for positions in POSITIONS}
    assert entry.max_length not in POSITIONS


@every_served
def test_nothing_is_served_at_a_length_that_fills_the_memory(entry: Entry) -> None:
    assert entry.max_length is not None
    assert entry.served_length is not None
    assert entry.served_length <= min(entry.max_length, 8192)


@every_served
def test_models_that_read_from_left_to_right_have_a_cache_and_others_have_none(entry: Entry) -> None:
    assert entry.size is not None
    assert bool(CAUSAL & set(entry.architectures)) is (entry.size.kv_kib_per_token > 0)


@every_templated
def test_a_prompt_needs_its_template_a_new_vllm_and_its_end(entry: Entry) -> None:
    assert entry.template in template_keys()
    assert Kind.LLM_CROSS_ENCODER is entry.kind
    assert not entry.truncation_safe
    assert (0, 14) <= tuple(int(part) for part in (entry.engine.min or "0").split("."))


@those(lambda entry: entry.kind is Kind.LLM_CROSS_ENCODER and CAUSAL & set(entry.architectures))
def test_a_language_model_warns_of_what_documents_may_say(entry: Entry) -> None:
    assert not entry.truncation_safe
    assert "control tokens" in entry.warning


@those(lambda entry: entry.kind is Kind.LISTWISE)
def test_a_model_that_judges_lists_limits_them(entry: Entry) -> None:
    assert entry.max_documents == 32
    assert not entry.truncation_safe
    assert "the size of a batch changes the scores" in entry.warning


@those(lambda entry: entry.kind is Kind.BI_ENCODER)
def test_an_embedding_model_says_that_it_is_no_reranker(entry: Entry) -> None:
    assert ScoreRange.COSINE is entry.scores
    assert "not a reranker" in entry.warning


@those(lambda entry: entry.kind is Kind.LATE_INTERACTION or entry.scores is ScoreRange.LOGITS)
def test_scores_without_a_scale_come_with_a_warning(entry: Entry) -> None:
    assert entry.scores in {ScoreRange.SUM, ScoreRange.LOGITS}
    assert "not numbers from 0 to 1" in entry.warning


@those(lambda entry: entry.trust_remote_code)
def test_code_that_runs_is_told(entry: Entry) -> None:
    assert "runs in the pod" in entry.warning


@those(lambda entry: entry.verified and entry.verified.level is Level.UNVERIFIED)
def test_what_nobody_tried_says_so(entry: Entry) -> None:
    assert "was not tried" in entry.warning


@those(lambda entry: entry.licence, entries())
def test_a_licence_that_forbids_commercial_use_is_flagged(entry: Entry) -> None:
    assert entry.licence is not None
    assert ("-NC-" in entry.licence.spdx) is entry.licence.non_commercial


def test_the_makers_that_forbid_commercial_use_are_these() -> None:
    flagged = {entry.id.partition("/")[0] for entry in entries() if entry.licence and entry.licence.non_commercial}
    assert {"jinaai", "polaria-tech", "zeroentropy"} == flagged


def test_bge_reranker_v2_m3_needs_nothing() -> None:
    expected = {
        "id": "BAAI/bge-reranker-v2-m3",
        "architectures": ["XLMRobertaForSequenceClassification"],
        "revision": "12e974610ba9083ed95f3edf08d7e899581f4de4",
        "licence": {"spdx": "Apache-2.0", "as_of": READ, "source": "model card"},
        "size": {"parameters": 568_000_000, "weights_gib": 1.06, "disk_gib": 2.12},
        "max_length": 8192,
        "scores": "0..1",
        "languages": EVERY_LANGUAGE,
        "more_languages": "multilingual",
        "verified": {"level": "vllmTested", "date": READ},
    }
    assert Entry.model_validate(expected) == _without_sources("BAAI/bge-reranker-v2-m3")


def test_qwen3_reranker_needs_two_words_and_a_prompt() -> None:
    expected = {
        "id": "Qwen/Qwen3-Reranker-0.6B",
        "kind": "llmCrossEncoder",
        "architectures": ["Qwen3ForCausalLM"],
        "revision": "6e9e69830b95c52b5fd889b7690dda3329508de3",
        "licence": {"spdx": "Apache-2.0", "as_of": READ, "source": "mteb metadata"},
        "size": {"parameters": 595_776_512, "weights_gib": 1.11, "disk_gib": 1.11, "kv_kib_per_token": 112},
        "max_length": 40960,
        "default_max_length": 8192,
        "hf_overrides": {
            "architectures": ["Qwen3ForSequenceClassification"],
            "classifier_from_token": ["no", "yes"],
            "is_original_qwen3_reranker": True,
        },
        "template": "qwen3-reranker",
        "engine": {"min": "0.14.0"},
        "scores": "0..1",
        "truncation_safe": False,
        "languages": EVERY_LANGUAGE,
        "more_languages": "more than 100 in all",
        "verified": {"level": "vllmTested", "date": READ},
        "warning": lookup("BAAI/bge-reranker-v2-gemma").warning,
    }
    assert Entry.model_validate(expected) == _without_sources("Qwen/Qwen3-Reranker-0.6B")


def test_mxbai_rerank_v2_needs_two_digits_and_a_prompt() -> None:
    expected = {
        "id": "mixedbread-ai/mxbai-rerank-base-v2",
        "kind": "llmCrossEncoder",
        "architectures": ["Qwen2ForCausalLM"],
        "revision": "3ea9d4dffa7d12a4f366be8e275c349de9fc9865",
        "licence": {"spdx": "Apache-2.0", "as_of": READ, "source": "mteb metadata"},
        "size": {"parameters": 494_032_768, "weights_gib": 0.92, "disk_gib": 0.92, "kv_kib_per_token": 12},
        "max_length": 32768,
        "default_max_length": 8192,
        "hf_overrides": {
            "architectures": ["Qwen2ForSequenceClassification"],
            "classifier_from_token": ["0", "1"],
            "method": "from_2_way_softmax",
        },
        "template": "mxbai-rerank-v2",
        "engine": {"min": "0.14.0"},
        "scores": "0..1",
        "truncation_safe": False,
        "languages": EVERY_LANGUAGE,
        "more_languages": "more than 100 in all",
        "verified": {"level": "vllmTested", "date": READ},
        "warning": lookup("BAAI/bge-reranker-v2-gemma").warning,
    }
    assert Entry.model_validate(expected) == _without_sources("mixedbread-ai/mxbai-rerank-base-v2")


def test_gte_multilingual_needs_another_name_and_its_own_code() -> None:
    expected = {
        "id": "Alibaba-NLP/gte-multilingual-reranker-base",
        "architectures": ["NewForSequenceClassification"],
        "revision": "8215cf04918ba6f7b6a62bb44238ce2953d8831c",
        "code_revision": "40ced75c3017eb27626c9d4ea981bde21a2662f4",
        "licence": {"spdx": "Apache-2.0", "as_of": READ, "source": "model card"},
        "size": {"parameters": 305_959_681, "weights_gib": 0.57, "disk_gib": 0.57},
        "max_length": 8192,
        "hf_overrides": {"architectures": ["GteNewForSequenceClassification"]},
        "trust_remote_code": True,
        "engine": {"min": "0.10.2"},
        "scores": "0..1",
        "languages": EVERY_LANGUAGE,
        "more_languages": "75 in all",
        "verified": {"level": "vllmTested", "date": READ},
        "warning": "Code of the repository Alibaba-NLP/new-impl runs in the pod, to read the model's config.",
    }
    assert Entry.model_validate(expected) == _without_sources("Alibaba-NLP/gte-multilingual-reranker-base")


def _without_sources(name: str) -> Entry:
    return lookup(name).model_copy(update={"sources": ()})
