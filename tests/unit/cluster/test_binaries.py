import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.cluster import binaries
from tests.cluster.errors import BuildError, MissingBinaryError

PAUSE = binaries.program("pause")


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RERANK_OPERATOR_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def copied(tmp_path: Path) -> binaries.Program:
    shutil.copytree(PAUSE.folder, tmp_path / "pause")
    return replace(PAUSE, folder=tmp_path / "pause")


def test_equal_sources_have_equal_keys_wherever_they_lie(copied: binaries.Program) -> None:
    assert PAUSE.key() == copied.key()


def test_a_changed_source_has_another_key(copied: binaries.Program) -> None:
    with (copied.folder / "pause.c").open("a") as source:
        source.write("\n")
    assert PAUSE.key() != copied.key()


def test_a_program_that_is_not_built_names_the_command_that_builds_it() -> None:
    with pytest.raises(MissingBinaryError, match=r"python -m tests\.cluster binaries kubernetes"):
        binaries.binary("kubectl")


def test_an_unknown_program_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match="unknown program 'docker': known are coredns, etcd"):
        binaries.program("docker")


def test_a_failed_build_leaves_nothing_and_shows_what_the_compiler_said(copied: binaries.Program) -> None:
    (copied.folder / "pause.c").write_text("int main(void) { return nothing; }\n")
    shown: list[str] = []
    with pytest.raises(BuildError, match="failed to build pause"):
        binaries.build(copied, shown.append)
    assert any("nothing" in line for line in shown)
    assert not copied.path().parent.exists()


def test_a_program_is_built_once() -> None:
    binaries.build(PAUSE, lambda _: None)
    first = binaries.binary("pause").stat().st_mtime_ns
    binaries.build(PAUSE, lambda _: None)
    assert first == binaries.binary("pause").stat().st_mtime_ns
    assert "pause" not in [program.name for program in binaries.missing()]
