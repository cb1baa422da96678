"""How much memory of an accelerator a model takes, and how vLLM is told to take no more.

vLLM takes 92 % of a card by default: a cache for keys and values that a reranker does not fill, and for an encoder only
a check that so much is free. Two rerankers could then never share a card. The figures are computed from configurations
(weights at 16 bit, keys and values per token). On an H200 with vLLM 0.26, five models of 0.15 to 8 billion parameters
held less than was computed, by 0.2 to 1.3 GiB (tests/recordings/gpu-memory.yaml).
"""

import dataclasses
import math
import re
from typing import Final

from rerank_operator.catalog.entry import GIB, Entry, Kind

KIB: Final = 1024
# Pairs of full length whose keys and values fit into the cache at once; short pairs are many more.
PAIRS_AT_ONCE: Final = 4
# A listwise request is one long sequence already.
LISTS_AT_ONCE: Final = 2
# Activations of one batch, and the context of the driver with its graphs: 1.2 to 2.3 GiB were measured.
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
    step = KIB if binary else 1000
    return float(found[1]) * float(step**power) / GIB


@dataclasses.dataclass(frozen=True, slots=True)
class Demand:
    """GiB that a model takes of each accelerator: its weights, and keys and values of one pair of full length.

    `at_once` pairs (or lists) have room at the same time, unless the accelerator is too small for so many.
    """

    weights: float
    pair: float
    at_once: int

    @property
    def least(self) -> float:
        """GiB without which not even one pair is served."""
        return self.weights + self.pair + WORKSPACE_GIB

    @property
    def wanted(self) -> float:
        """GiB with room for every pair."""
        return self.weights + self.at_once * self.pair + WORKSPACE_GIB

    def on(self, card_gib: float) -> "Demand":
        """The same on an accelerator of this size: as many pairs as fit, and at least the one that has to."""
        room = card_gib * MOST_SHARE - self.weights - WORKSPACE_GIB
        fitting = int(room / self.pair) if self.pair else self.at_once
        return dataclasses.replace(self, at_once=max(1, min(self.at_once, fitting)))


def demand_of(entry: Entry, max_length: int | None, cards: int = 1, number_bytes: int = 2) -> Demand | None:
    """What a model takes of each of `cards` accelerators, in numbers of so many bytes; None without figures."""
    if entry.size is None:
        return None
    wider = number_bytes / 2
    pair = entry.size.kv_kib_per_token * KIB * (max_length or 0) / GIB
    at_once = LISTS_AT_ONCE if entry.kind is Kind.LISTWISE else PAIRS_AT_ONCE
    # With more cards than heads of keys and values each card holds whole heads: room for one pair is left even so.
    return Demand(entry.size.weights_gib * wider / cards, pair * wider / cards, max(at_once, cards))


def need_gib(entry: Entry, max_length: int | None) -> float | None:
    """GiB that the model takes of one accelerator; None where the catalog has no figures."""
    demand = demand_of(entry, max_length)
    return None if demand is None else round(demand.wanted, 1)


def memory_arguments(demand: Demand | None, card_gib: float | None) -> dict[str, str]:
    """Arguments by name that keep vLLM to what the model needs, on cards of `card_gib` each (None: not known).

    Empty where nothing is known of the model: vLLM then takes what it wants.
    """
    if demand is None:
        return {}
    share = SMALL_SHARE
    if card_gib is not None:
        demand = demand.on(card_gib)
        steps = math.ceil(round(demand.wanted / card_gib / _STEP, 6))  # 3.0000000000000004 steps are 3
        share = min(MOST_SHARE, steps * _STEP)
    arguments = {"--gpu-memory-utilization": f"{share:.2f}"}
    if reserved := int(demand.at_once * demand.pair * GIB):
        arguments["--kv-cache-memory-bytes"] = str(reserved)
    return arguments


def cpu_cache_gib(demand: Demand | None) -> int:
    """Whole GiB for keys and values on a CPU: more than one pair of full length, as vLLM keeps a block for itself."""
    return 1 if demand is None else math.floor(demand.pair) + 1
