"""The figures that people read, each with its budget where there is one. Pure."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from tests.bench.audit import STATUS
from tests.bench.results import Burst, Counts, Floor, Measurement

# Children of one reranker: ControllerRevision, Deployment, Service, engine files, publication.
CHILDREN: Final = 5
STATUS_WRITES: Final = 2
READS: Final = 3
CPU_MS: Final = 15
MEMORY_MIB: Final = {500: 100, 1000: 150}
FLOOR_MULTIPLE: Final = 1.3
PUBLISHED_SECONDS: Final = 1
DRIFT_SECONDS: Final = 1
SILENT: Final = 0


class Figure(NamedTuple):
    """One figure of one size. It must not exceed its budget; None means that it is shown for what it is."""

    title: str
    value: float
    budget: float | None = None
    decimals: int = 1
    note: str = ""

    @property
    def holds(self) -> bool | None:
        """Whether the budget holds, None where there is none."""
        return None if self.budget is None else self.value <= self.budget


def figures_of(measured: Measurement) -> list[Figure]:
    """Every figure, in the order of the table; each size has the same ones."""
    return [
        *_request_figures(measured.burst, measured.rerankers),
        *_speed_figures(measured.burst, measured.floor),
        *_process_figures(measured),
        *_afterwards_figures(measured),
        Figure("load average before", measured.load_average_before),
    ]


def _request_figures(burst: Burst, count: int) -> list[Figure]:
    events = _total(burst.writes, ["create events"])
    status = _total(burst.writes, [kind for kind in burst.writes if kind.endswith(STATUS)])
    children = sum(burst.writes.values()) - events - status
    reads = sum(burst.reads.values())
    return [
        Figure("API writes per reranker, to Ready", (children + status) / count, CHILDREN + STATUS_WRITES, 2),
        Figure("  of these to children", children / count, None, 2),
        Figure("  of these to the status", status / count, None, 2),
        Figure("  Events on top", events / count, None, 2),
        Figure("GETs and LISTs per reranker, to Ready", reads / count, READS, 2),
        Figure("requests of kopf in all, watches apart", sum(burst.kopf_requests.values()), None, 0),
    ]


def _speed_figures(burst: Burst, floor: Floor) -> list[Figure]:
    published = burst.published_seconds
    return [
        Figure("all workloads created, s", burst.workloads_seconds),
        Figure("all Ready, s", burst.ready_seconds),
        Figure("floor: all objects written, s", floor.written_seconds),
        Figure("floor: and all pods ready, s", floor.ready_seconds),
        Figure("all Ready / floor with pods ready", burst.ready_seconds / floor.ready_seconds, FLOOR_MULTIPLE, 2),
        Figure("all Ready / floor without pods", burst.ready_seconds / floor.written_seconds, None, 2),
        Figure("engine ready to published, median s", statistics.median(published), PUBLISHED_SECONDS, 2),
        Figure("engine ready to published, p99 s", percentile(published, 99), None, 2),
    ]


def _process_figures(measured: Measurement) -> list[Figure]:
    cpu_ms = 1000 * measured.burst.cpu_seconds / measured.rerankers
    return [
        Figure("operator CPU per reranker, to Ready, ms", cpu_ms, CPU_MS),
        Figure("operator memory, idle MiB", measured.idle_mib, None, 0),
        Figure("operator memory, most MiB", measured.max_mib, memory_budget(measured.rerankers), 0),
    ]


def _afterwards_figures(measured: Measurement) -> list[Figure]:
    quiet, restart, drift = measured.quiet, measured.restart, measured.drift
    during = f" in {restart.seconds:.0f} s"
    return [
        Figure("writes after convergence", _total(quiet.writes), SILENT, 0, f" in {quiet.seconds:.0f} s"),
        Figure("operator CPU meanwhile, s", quiet.cpu_seconds, None, 2),
        Figure("writes after a restart", _total(restart.writes), SILENT, 0, during),
        Figure("operator CPU of that restart, s", restart.cpu_seconds, None, 1, during),
        Figure("SIGTERM to exit, s", measured.stop_seconds, None, 2),
        Figure("deleted Deployment back, worst s", max(drift.deleted_deployment), DRIFT_SECONDS, 2),
        Figure("added argument removed, worst s", max(drift.added_argument), DRIFT_SECONDS, 2),
    ]


def memory_budget(rerankers: int) -> float:
    """The budget of the next size that has one; the largest beyond that."""
    return next((mib for size, mib in MEMORY_MIB.items() if rerankers <= size), max(MEMORY_MIB.values()))


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that is not exceeded by so many percent of them (nearest rank)."""
    rank = math.ceil(percent / 100 * len(values))
    return sorted(values)[max(rank, 1) - 1]


def missed(figures: Mapping[int, Iterable[Figure]]) -> list[str]:
    """Say which budgets do not hold, by size."""
    return [
        f"{figure.title}: {figure.value:.{figure.decimals}f}{figure.note} with {size} rerankers, "
        f"budget {figure.budget:g}"
        for size, listed in figures.items()
        for figure in listed
        if figure.budget is not None and not figure.holds
    ]


def _total(counts: Counts, kinds: Iterable[str] | None = None) -> int:
    return sum(counts.get(kind, 0) for kind in (counts if kinds is None else kinds))
