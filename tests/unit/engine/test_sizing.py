"""How much memory of an accelerator a model takes, and what vLLM is told of it."""

import dataclasses
from pathlib import Path

import pytest
import yaml

from rerank_operator.catalog.entry import GIB, Entry, Kind
from rerank_operator.catalog.models import entries, lookup
from rerank_operator.engine.sizing import (
    MOST_SHARE,
    PAIRS_AT_ONCE,
    SMALL_SHARE,
    WORKSPACE_GIB,
    Demand,
    cpu_cache_gib,
    demand_of,
    gib_of,
    memory_arguments,
    need_gib,
)

MEASURED = Path(__file__).resolve().parents[2] / "recordings" / "gpu-memory.yaml"
SHARE, CACHE = "--gpu-memory-utilization", "--kv-cache-memory-bytes"
CARDS = [16.0, 24.0, 80.0]
SMALL_LLM, BIG_LLM = "Qwen/Qwen3-Reranker-0.6B", "Qwen/Qwen3-Reranker-8B"
ENCODER = "BAAI/bge-reranker-v2-m3"
SERVED = [entry for entry in entries() if not entry.refusal]


def demand(name: str, max_length: int | None = None, **given: int) -> Demand:
    entry = lookup(name)
    found = demand_of(entry, max_length or entry.served_length, **given)
    assert found is not None
    return found


def arguments(name: str, card: float | None = None, max_length: int | None = None, **given: int) -> dict[str, str]:
    return memory_arguments(demand(name, max_length, **given), card)


def share(name: str, card: float, **given: int) -> float:
    return float(arguments(name, card, **given)[SHARE])


def cache_gib(name: str, card: float | None = None, **given: int) -> float:
    return int(arguments(name, card, **given)[CACHE]) / GIB


@pytest.mark.parametrize(
    ("quantity", "gib"),
    [
        ("24Gi", 24),
        ("16384Mi", 16),
        ("1.5Gi", 1.5),
        ("1Ti", 1024),
        ("80G", 80e9 / GIB),
        ("16000M", 16e9 / GIB),
        ("500k", 500e3 / GIB),
        ("512Ki", 512 / 1024**2),
        (str(8 * GIB), 8),
        ("0", 0),
    ],
)
def test_a_quantity_is_read_as_kubernetes_does(quantity: str, gib: float) -> None:
    assert pytest.approx(gib) == gib_of(quantity)


@pytest.mark.parametrize("quantity", ["", "24GB", "24 Gi", "-1Gi", "24gi", "Gi", "500m", "1e9", "24Gi\n"])
def test_anything_else_is_no_amount_of_memory(quantity: str) -> None:
    with pytest.raises(ValueError, match="is not an amount of memory such as 24Gi"):
        gib_of(quantity)


@pytest.mark.parametrize(
    ("name", "max_length", "gib"),
    [
        (SMALL_LLM, 40960, 4.4),
        (SMALL_LLM, 8192, 0.88),
        (SMALL_LLM, 2048, 0.22),
        ("Qwen/Qwen3-Reranker-4B", 40960, 5.6),
        ("Qwen/Qwen3-Reranker-4B", 8192, 1.13),
        (BIG_LLM, 8192, 1.13),
        (BIG_LLM, 2048, 0.28),
        ("mixedbread-ai/mxbai-rerank-base-v2", 32768, 0.38),
        ("mixedbread-ai/mxbai-rerank-large-v2", 32768, 0.88),
        ("zeroentropy/zerank-2-reranker", 32768, 4.5),
        ("zeroentropy/zerank-2-reranker", 8192, 1.13),
        ("jinaai/jina-reranker-v3", 131072, 14.0),
        ("jinaai/jina-reranker-v3", 8192, 0.88),
    ],
)
def test_keys_and_values_of_one_sequence(name: str, max_length: int, gib: float) -> None:
    assert pytest.approx(gib, abs=0.06 if gib > 1.2 else 0.008) == demand(name, max_length).pair


def test_a_causal_model_gets_room_for_four_pairs_whatever_the_card() -> None:
    assert {SHARE: "0.10", CACHE: str(4 * 112 * 1024 * 8192)} == arguments(SMALL_LLM)
    for card in CARDS:
        assert str(4 * 112 * 1024 * 8192) == arguments(SMALL_LLM, card)[CACHE]


@pytest.mark.parametrize("entry", [e for e in SERVED if e.size and not e.size.kv_kib_per_token], ids=lambda e: e.id)
def test_an_encoder_reserves_no_cache(entry: Entry) -> None:
    for card in (None, *CARDS):
        assert {SHARE} == set(arguments(entry.id, card))
    assert 1 == cpu_cache_gib(demand(entry.id))


def test_a_list_is_one_long_sequence_already() -> None:
    listwise, pairwise = lookup("jinaai/jina-reranker-v3"), lookup(SMALL_LLM)

    assert listwise.size is not None
    assert pairwise.size is not None
    assert (Kind.LISTWISE, pairwise.size.kv_kib_per_token) == (listwise.kind, listwise.size.kv_kib_per_token)
    assert cache_gib(SMALL_LLM) / 2 == cache_gib(listwise.id) == 2 * demand(listwise.id).pair


@pytest.mark.parametrize(
    ("name", "shares"),
    [
        (ENCODER, [0.25, 0.15, 0.05]),
        ("cross-encoder/ms-marco-MiniLM-L6-v2", [0.20, 0.15, 0.05]),
        (SMALL_LLM, [0.45, 0.30, 0.10]),
        ("mixedbread-ai/mxbai-rerank-base-v2", [0.25, 0.20, 0.05]),
        ("mixedbread-ai/mxbai-rerank-large-v2", [0.40, 0.30, 0.10]),
        ("Qwen/Qwen3-Reranker-4B", [0.95, 0.65, 0.20]),
        (BIG_LLM, [0.95, 0.95, 0.30]),
    ],
)
def test_the_share_of_a_card_is_what_the_model_needs_of_it(name: str, shares: list[float]) -> None:
    assert shares == [share(name, card) for card in CARDS]


def test_of_a_card_of_unknown_size_a_small_share_is_asked_for() -> None:
    assert {f"{SMALL_SHARE:.2f}"} == {arguments(entry.id)[SHARE] for entry in SERVED if entry.size}


@pytest.mark.parametrize(("first", "second"), [(ENCODER, ENCODER), (ENCODER, SMALL_LLM), (SMALL_LLM, SMALL_LLM)])
def test_two_rerankers_fit_one_card_of_24_gib_together(first: str, second: str) -> None:
    assert share(first, 24) + share(second, 24) <= MOST_SHARE


@pytest.mark.parametrize("entry", [entry for entry in SERVED if entry.size], ids=lambda entry: entry.id)
@pytest.mark.parametrize("card", [2.0, 4.0, *CARDS, 141.0])
def test_a_share_is_a_part_that_is_never_all_of_a_card(entry: Entry, card: float) -> None:
    for max_length in (16, entry.served_length, entry.max_length):
        given = float(arguments(entry.id, card, max_length=max_length)[SHARE])
        assert 0 < given <= MOST_SHARE


def test_a_share_that_is_met_exactly_is_not_rounded_up() -> None:
    exact = Demand(weights=7.2 - WORKSPACE_GIB, pair=0, at_once=1)

    assert "0.30" == memory_arguments(exact, 24)[SHARE]
    assert "0.35" == memory_arguments(dataclasses.replace(exact, weights=exact.weights + 0.01), 24)[SHARE]


def test_a_small_card_has_room_for_fewer_pairs() -> None:
    assert 2 == demand(BIG_LLM).on(22).at_once
    assert 2 * demand(BIG_LLM).pair == cache_gib(BIG_LLM, 22)
    assert PAIRS_AT_ONCE == demand(BIG_LLM).on(80).at_once


@pytest.mark.parametrize("entry", [entry for entry in SERVED if entry.size], ids=lambda entry: entry.id)
@pytest.mark.parametrize("card", CARDS)
def test_what_fits_at_all_fits_with_the_cache_that_is_reserved(entry: Entry, card: float) -> None:
    found = demand(entry.id)
    if found.least <= card * MOST_SHARE:
        assert found.on(card).wanted <= card * MOST_SHARE


def test_where_not_even_one_pair_fits_room_for_one_is_asked_for() -> None:
    assert demand(BIG_LLM).least > CARDS[0]
    assert demand(BIG_LLM).pair == cache_gib(BIG_LLM, CARDS[0])


def test_several_cards_share_weights_and_cache_and_each_has_its_own_workspace() -> None:
    one, two = demand(BIG_LLM), demand(BIG_LLM, cards=2)

    assert (one.weights / 2, one.pair / 2, one.at_once) == (two.weights, two.pair, two.at_once)
    assert pytest.approx(one.wanted / 2 + WORKSPACE_GIB / 2) == two.wanted
    assert (0.55, cache_gib(BIG_LLM) / 2) == (share(BIG_LLM, 24, cards=2), cache_gib(BIG_LLM, 24, cards=2))


def test_many_cards_keep_room_for_one_pair_that_cannot_be_split() -> None:
    assert demand(SMALL_LLM).pair == cache_gib(SMALL_LLM, cards=16)


def test_wider_numbers_take_more() -> None:
    half, full = demand(SMALL_LLM), demand(SMALL_LLM, number_bytes=4)

    assert (2 * half.weights, 2 * half.pair) == (full.weights, full.pair)


def test_of_a_model_without_figures_nothing_is_said() -> None:
    assert None is demand_of(Entry(id="me/mine"), 512)
    assert None is need_gib(Entry(id="me/mine"), 512)
    assert {} == memory_arguments(None, 24)
    assert 1 == cpu_cache_gib(None)


def test_without_a_length_only_weights_count() -> None:
    assert 0 == getattr(demand_of(lookup(SMALL_LLM), None), "pair", None)


@pytest.mark.parametrize(
    ("name", "gib"), [(ENCODER, 3.6), (SMALL_LLM, 7.1), ("mixedbread-ai/mxbai-rerank-large-v2", 6.3), (BIG_LLM, 22.2)]
)
def test_a_need_is_weights_cache_and_workspace(name: str, gib: float) -> None:
    entry = lookup(name)
    assert pytest.approx(gib, abs=0.06) == need_gib(entry, entry.served_length)


@pytest.mark.parametrize("measured", yaml.safe_load(MEASURED.read_text(encoding="utf-8")), ids=lambda m: m["model"])
def test_a_need_is_enough_on_a_real_gpu_and_not_much_more(measured: dict[str, str | int]) -> None:
    entry, held = lookup(str(measured["model"])), int(measured["mib"]) / 1024
    need = need_gib(entry, entry.served_length)

    assert need is not None
    assert held < need < held + 1.5


@pytest.mark.parametrize(
    ("name", "number_bytes", "gib"),
    [(SMALL_LLM, 4, 2), (SMALL_LLM, 2, 1), (BIG_LLM, 4, 3), ("mixedbread-ai/mxbai-rerank-base-v2", 4, 1)],
)
def test_a_cpu_keeps_one_pair_in_the_numbers_that_it_computes_in(name: str, number_bytes: int, gib: int) -> None:
    assert gib == cpu_cache_gib(demand(name, number_bytes=number_bytes))


def test_a_pair_that_fills_whole_gib_on_a_cpu_is_not_all_that_there_is() -> None:
    found = demand(BIG_LLM, 32768, number_bytes=4)

    assert 9.0 == found.pair
    assert 10 == cpu_cache_gib(found)
