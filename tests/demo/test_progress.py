"""What a person reads while a step of the demo runs and nobody looks at a terminal."""

import io

import pytest
from rich.console import Console

from tests.demo.progress import Step


def lines_after(monkeypatch: pytest.MonkeyPatch, said: list[tuple[float, str]]) -> list[str]:
    """What is written when these details are said at these seconds after the start."""
    console = Console(file=io.StringIO(), width=100)
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    with Step("Wait", console) as step:
        for seconds, detail in said:
            now = 100.0 + seconds
            step.say(detail)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def test_what_is_waited_for_is_written_when_it_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ["  a pod", "  a model"] == lines_after(monkeypatch, [(0, "a pod"), (1, "a pod"), (2, "a model")])


def test_what_lasts_is_written_again_with_the_time_that_it_took(monkeypatch: pytest.MonkeyPatch) -> None:
    said = [(second, "a pod") for second in (0.0, 19.0, 21.0, 30.0, 42.0)]

    assert ["  a pod", "  still after 21 s: a pod", "  still after 42 s: a pod"] == lines_after(monkeypatch, said)
