"""How much memory of an accelerator a model takes, and how vLLM is told to take no more.

vLLM takes 92 % of a card by default: a cache for keys and values that a reranker does not fill, and for an encoder only
a check that so much is free. Two rerankers could then never share a card. The figures are computed from configurations
(weights at 16 bit, keys and values per token), not measured.
"""

import math
import re
from typing import Final

from rerank_operator.catalog.entry import GIB, Entry, Kind

KIB: Final = 1024
# Pairs of full length whose keys and values fit into the cache at once; short pairs are many more.
PAIRS_AT_ONCE: Final = 8
# A listwise request is one long sequence already.
LISTS_AT_ONCE: Final = 2
# Activations of one batch, and the context of the driver with its graphs.
WORKSPACE_GIB: Final = 2.5
# Of a card of unknown size: the engine only checks that this part is free.
SMALL_SHARE: Final = 0.1
MOST_SHARE: Final = 0.95
_STEP: Final = 0.05
_QUANTITY: Final = re.compile(r"(\d+(?:\.\d+)?)(?:([kKMGT])(i)?)?")


def gib_of(quantity: str) -> float:
    """GiB of a Kubernetes quantity such as 24Gi, 80G or 16000Mi; raises ValueError for anything else."""
    found = _QUANTITY.fullmatch(quantity)
    if found is None:
        raise ValueError(f"{quantity!r} is not an amount of memory such as 24Gi")
    letter, binary = found[2] or "", found[3]
    power = " KMGT".index(letter.upper()) if letter else 0
    return float(found[1]) * (KIB if binary else 1000) ** power / GIB


def cache_bytes(entry: Entry, max_length: int | None) -> int:
    """Bytes for keys and values; 0 for encoders, and where the catalog or the length says nothing."""
    if entry.size is None or max_length is None:
        return 0
    at_once = LISTS_AT_ONCE if entry.kind is Kind.LISTWISE else PAIRS_AT_ONCE
    return int(entry.size.kv_kib_per_token * KIB * max_length * at_once)


def need_gib(entry: Entry, max_length: int | None) -> float | None:
    """GiB that the model takes of all its accelerators together; None where the catalog has no figures."""
    if entry.size is None:
        return None
    return round(entry.size.weights_gib + cache_bytes(entry, max_length) / GIB + WORKSPACE_GIB, 1)


def memory_arguments(entry: Entry, max_length: int | None, card_gib: float | None) -> dict[str, str]:
    """Arguments by name that keep vLLM to what the model needs, on cards of `card_gib` each (None: not known).

    Empty where nothing is known of the model: vLLM then takes what it wants.
    """
    need = need_gib(entry, max_length)
    if need is None:
        return {}
    share = SMALL_SHARE if card_gib is None else min(MOST_SHARE, math.ceil(need / card_gib / _STEP) * _STEP)
    arguments = {"--gpu-memory-utilization": f"{share:.2f}"}
    if reserved := cache_bytes(entry, max_length):
        arguments["--kv-cache-memory-bytes"] = str(reserved)
    return arguments


def cpu_cache_gib(entry: Entry, max_length: int | None) -> int:
    """GiB for keys and values on a CPU: one pair of full length and as much again, at least 1."""
    if entry.size is None or max_length is None:
        return 1
    return max(1, math.ceil(2 * entry.size.kv_kib_per_token * KIB * max_length / GIB))
