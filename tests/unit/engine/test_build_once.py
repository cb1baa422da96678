"""What the cache promises: each thing is built once, is whole, and can be read by a pod."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.engine.build_once import build_once


def test_a_finished_thing_is_not_built_again(tmp_path: Path) -> None:
    built: list[Path] = []

    def build(partial: Path) -> None:
        built.append(partial)
        partial.write_text("content")

    for _ in range(2):
        assert "content" == build_once(tmp_path / "thing", build).read_text()
    assert 1 == len(built)


def test_builders_at_the_same_time_build_it_once(tmp_path: Path) -> None:
    built: list[Path] = []

    def build(partial: Path) -> None:
        built.append(partial)
        partial.mkdir()

    with ThreadPoolExecutor(4) as pool:
        made = set(pool.map(lambda _: build_once(tmp_path / "thing", build), range(4)))
    assert ({tmp_path / "thing"}, 1) == (made, len(built))


def test_a_failed_build_leaves_nothing_that_looks_finished(tmp_path: Path) -> None:
    def build(partial: Path) -> None:
        partial.mkdir()
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        build_once(tmp_path / "thing", build)
    assert [".thing.lock"] == [path.name for path in tmp_path.iterdir()]


def test_what_a_crash_left_is_not_taken_over(tmp_path: Path) -> None:
    leftover = tmp_path / ".thing.partial"
    leftover.mkdir()
    (leftover / "half").touch()

    def build(partial: Path) -> None:
        partial.mkdir()
        (partial / "whole").touch()

    made = build_once(tmp_path / "thing", build)
    assert ["whole"] == [path.name for path in made.iterdir()]


def test_a_pod_of_another_user_can_read_what_was_private(tmp_path: Path) -> None:
    def build(partial: Path) -> None:
        partial.mkdir(mode=0o700)
        (partial / "model.safetensors").touch(mode=0o600)
        (partial / "program").touch(mode=0o700)

    made = build_once(tmp_path / "thing", build)
    modes = {path.name: oct(path.stat().st_mode & 0o777) for path in (made, *made.iterdir())}
    assert {"thing": "0o755", "model.safetensors": "0o644", "program": "0o755"} == modes
