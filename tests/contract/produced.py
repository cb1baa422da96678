"""Which tests make which reasons happen: every `produces` mark, read by collecting the tests in a process of its own.

`python -m tests.contract.produced` prints them as JSON. Only files that import `produces` are collected: no other can
hold such a mark, and collecting everything takes several times as long.
"""

import contextlib
import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from rerank_operator.api.reasons import Reason
from tests.contract.chart import ROOT
from tests.produces import SOURCES

_IMPORT: Final = "from tests.produces import"
_SECONDS: Final = 60


@dataclasses.dataclass(frozen=True, slots=True)
class Production:
    """A test that makes a reason happen. `reason` is the name that its mark holds, `by` who makes the fault."""

    test: str
    reason: str
    by: str


def productions() -> list[Production]:
    """Every reason of every mark, in the order of the tests. Raises RuntimeError with what pytest says."""
    command = [sys.executable, "-m", "tests.contract.produced"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=_SECONDS)
    if ended.returncode != 0:
        raise RuntimeError(f"the tests cannot be collected:\n{ended.stderr}")
    return [Production(**found) for found in json.loads(ended.stdout)]


def sources(found: list[Production] | None = None) -> dict[Reason, list[str]]:
    """Who makes each reason happen, the most real one first; no entry for a reason that nothing makes happen."""
    makers: dict[Reason, set[str]] = {}
    for production in productions() if found is None else found:
        makers.setdefault(Reason(production.reason), set()).add(production.by)
    return {reason: [by for by in SOURCES if by in makers[reason]] for reason in Reason if reason in makers}


def _files() -> list[Path]:
    return sorted(f for f in (ROOT / "tests").rglob("test_*.py") if _IMPORT in f.read_text(encoding="utf-8"))


class _Collector:
    """A pytest plugin that keeps the marks of everything that was collected."""

    def __init__(self) -> None:
        self.found: list[Production] = []

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Read the marks."""
        self.found = [
            Production(item.nodeid, str(reason), mark.kwargs.get("by", ""))
            for item in session.items
            for mark in item.iter_markers("produces")
            for reason in mark.args
        ]


def _main() -> int:
    collector = _Collector()
    arguments = ["--collect-only", "--quiet", "-p", "no:cacheprovider", *map(str, _files())]
    with contextlib.redirect_stdout(sys.stderr):
        exit_code = int(pytest.main(arguments, plugins=[collector]))
    print(json.dumps([dataclasses.asdict(production) for production in collector.found]))
    return exit_code


if __name__ == "__main__":
    sys.exit(_main())
