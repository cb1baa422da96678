"""The benchmark of the guard asks a real guard, and shows what it measured."""

import os

import pytest

from tests.bench import guard
from tests.bench.guard import GuardCost, build_guard_table, measure_guard

COSTS = [
    GuardCost(3, 60, "key", 3e-6),
    GuardCost(3, 60, "key and limit", 10.4e-6),
    GuardCost(100, 2048, "key", 3e-6),
    GuardCost(100, 2048, "key and limit", 0.001),
]


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "ROUNDS", 1)
    monkeypatch.setattr(guard, "ROUND_BYTES", 1)


def test_each_size_is_measured_with_each_setting(short: None, capsys: pytest.CaptureFixture[str]) -> None:
    before = dict(os.environ)
    costs = measure_guard()
    assert [(count, size, name) for count, size in guard.SIZES for name in guard.SETTINGS] == [
        (cost.documents, cost.document_bytes, cost.setting) for cost in costs
    ]
    assert all(cost.seconds >= 0 for cost in costs)
    assert before == dict(os.environ)
    assert ("", "") == capsys.readouterr()


def test_a_guard_that_refuses_the_benchmark_is_not_measured(short: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "SETTINGS", {"too low a limit": {"RERANK_GUARD_MAX_DOCUMENTS": "1"}})
    with pytest.raises(RuntimeError, match="the guard answered 413 to the benchmark, 200 was due"):
        measure_guard()


def test_the_table_has_a_row_per_size_and_a_column_per_setting() -> None:
    table = build_guard_table(COSTS)
    assert ["documents", "key", "key and limit"] == [column.header for column in table.columns]
    rows = zip(*(column.cells for column in table.columns), strict=True)
    assert [("3 x 60 B", "3 µs", "10 µs"), ("100 x 2048 B", "3 µs", "1000 µs")] == list(rows)
