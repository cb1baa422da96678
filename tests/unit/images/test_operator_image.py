"""What the operator's image is named after."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.images import dockerfile
from tests.images.operator import recipe

CLI = "operator/rerank_operator/cli.py"


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    for name in ("Dockerfile", ".dockerignore", "pyproject.toml", "uv.lock", CLI):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"content of {name}\n")
    return tmp_path


def edit(name: str) -> Callable[[Path], None]:
    def write(root: Path) -> None:
        root.joinpath(name).write_text("changed\n")

    return write


def add(name: str) -> Callable[[Path], None]:
    def write(root: Path) -> None:
        root.joinpath(name).parent.mkdir(parents=True, exist_ok=True)
        root.joinpath(name).write_text("new\n")

    return write


def rename(root: Path) -> None:
    root.joinpath(CLI).rename(root / "operator/rerank_operator/main.py")


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(edit("Dockerfile"), id="the Dockerfile"),
        pytest.param(edit("pyproject.toml"), id="the project file"),
        pytest.param(edit("uv.lock"), id="a locked version"),
        pytest.param(edit(CLI), id="a source file"),
        pytest.param(add("operator/rerank_operator/templates/pod.yaml"), id="a new data file"),
        pytest.param(rename, id="a file's name"),
    ],
)
def test_another_image_has_another_name(sources: Path, change: Callable[[Path], None]) -> None:
    before = recipe(sources).key
    change(sources)
    assert before != recipe(sources).key


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(add("operator/rerank_operator/__pycache__/cli.cpython-311.pyc"), id="compiled files"),
        pytest.param(add("docs/usage.md"), id="documentation"),
        pytest.param(add("tests/test_x.py"), id="tests"),
        pytest.param(lambda root: os.utime(root / CLI, (0, 0)), id="times"),
    ],
)
def test_what_is_not_in_the_image_does_not_change_its_name(sources: Path, change: Callable[[Path], None]) -> None:
    before = recipe(sources).key
    change(sources)
    assert before == recipe(sources).key


def test_the_base_image_is_part_of_the_name(sources: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = recipe(sources).key
    monkeypatch.setattr(dockerfile, "base_key", lambda: "another")
    assert before != recipe(sources).key


def test_the_name_of_this_repositorys_image_is_one_of_localhost() -> None:
    assert f"localhost/rerank-operator:{recipe().key}" == recipe().reference
