"""Figures and budgets follow from what was measured."""

from typing import Any

import pytest

from tests.bench.api import Object
from tests.bench.figures import CHILDREN, Figure, figures_of, memory_budget, missed, percentile
from tests.bench.rerankers import UID, everything_of, is_ready, owned
from tests.bench.results import Burst, Drift, Floor, Measurement, Window


def a_burst(**changes: Any) -> Burst:
    measured = {
        "workloads_seconds": 1.0,
        "ready_seconds": 4.0,
        "writes": {
            "create configmaps": 20,
            "create controllerrevisions": 10,
            "create deployments": 10,
            "create events": 10,
            "create services": 10,
            "patch rerankservices/status": 20,
        },
        "reads": {"get configmaps": 10, "get services": 10},
        "kopf_requests": {},
        "cpu_seconds": 0.12,
        "published_seconds": [0.1, 0.2, 0.9],
    }
    return Burst(**{**measured, **changes})


def a_measurement(**changes: Any) -> Measurement:
    measured = {
        "rerankers": 10,
        "load_average_before": 0.5,
        "floor": Floor(written_seconds=2.0, ready_seconds=4.0),
        "burst": a_burst(),
        "quiet": Window(seconds=15.0, writes={}, cpu_seconds=0.01),
        "restart": Window(seconds=60.0, writes={}, cpu_seconds=1.0),
        "stop_seconds": 0.2,
        "drift": Drift(deleted_deployment=[0.1, 0.3], added_argument=[0.2]),
        "idle_mib": 60.0,
        "max_mib": 80.0,
    }
    return Measurement(**{**measured, **changes})


def figure(title: str, **changes: Any) -> Figure:
    return next(f for f in figures_of(a_measurement(**changes)) if f.title.startswith(title))


def test_requests_are_counted_per_reranker_and_events_apart() -> None:
    assert 7.0 == figure("API writes per reranker").value
    assert 5.0 == figure("  of these to children").value
    assert 2.0 == figure("  of these to the status").value
    assert 1.0 == figure("  Events on top").value
    assert 2.0 == figure("GETs and LISTs").value


def test_a_measurement_within_all_budgets_misses_none() -> None:
    assert [] == missed({10: figures_of(a_measurement())})


def test_a_missed_budget_is_told_with_value_size_and_budget() -> None:
    restart = Window(seconds=20.0, writes={"patch deployments": 3}, cpu_seconds=1.0)
    figures = figures_of(a_measurement(restart=restart))

    assert ["writes after a restart: 3 in 20 s with 10 rerankers, budget 0"] == missed({10: figures})


def test_the_worst_trial_of_drift_counts() -> None:
    assert 0.3 == figure("deleted Deployment back").value


def test_time_is_compared_with_the_floor_that_includes_pods() -> None:
    assert 1.0 == figure("all Ready / floor with pods ready").value
    assert 2.0 == figure("all Ready / floor without pods").value


@pytest.mark.parametrize(("rerankers", "budget"), [(1, 100), (500, 100), (501, 150), (1000, 150), (5000, 150)])
def test_the_budget_of_memory_depends_on_the_number_of_rerankers(rerankers: int, budget: float) -> None:
    assert budget == memory_budget(rerankers)


@pytest.mark.parametrize(("percent", "expected"), [(0, 1.0), (50, 2.0), (75, 3.0), (99, 4.0), (100, 4.0)])
def test_a_percentile_is_a_value_that_was_measured(percent: float, expected: float) -> None:
    assert expected == percentile([4.0, 1.0, 3.0, 2.0], percent)


def test_a_figure_holds_up_to_its_budget_and_not_above() -> None:
    assert Figure("", 1.0, 1.0).holds is True
    assert Figure("", 1.01, 1.0).holds is False
    assert Figure("", 1.0).holds is None


def test_the_floor_writes_as_many_children_as_the_budget_allows() -> None:
    written = everything_of(7, "2027-01-15T08:00:00Z")

    assert CHILDREN == len(written.children)
    assert all(UID.encode() not in owned(child.body, "uid-of-7") for child in written.children)


@pytest.mark.parametrize(
    ("obj", "expected"),
    [
        ({"status": {"conditions": [{"type": "Ready", "status": "True"}]}}, True),
        ({"status": {"conditions": [{"type": "Ready", "status": "False"}]}}, False),
        ({}, False),
    ],
)
def test_an_object_is_ready_when_its_condition_says_so(obj: Object, expected: bool) -> None:
    assert expected == is_ready(obj)
