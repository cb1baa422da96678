"""The versions that docs/apps names are those that its programs run with here."""

from __future__ import annotations

import importlib.metadata
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.apps.environments import APPS, FRAMEWORKS, ensure, requirements

if TYPE_CHECKING:
    from pathlib import Path


def pins(file: Path) -> dict[str, str]:
    return dict(line.split("==") for line in file.read_text().splitlines())


def test_search_runs_here_with_what_its_image_has() -> None:
    pinned = pins(requirements("pymilvus"))
    assert {name: importlib.metadata.version(name) for name in pinned} == pinned


@pytest.mark.node
@pytest.mark.timeout(600)
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_an_environment_has_what_is_pinned(framework: str) -> None:
    pinned = pins(requirements(framework))
    code = "import sys, importlib.metadata as m; print(*(m.version(name) for name in sys.argv[1:]))"
    done = subprocess.run([ensure(framework), "-c", code, *pinned], check=True, capture_output=True, text=True)
    assert list(pinned.values()) == done.stdout.split()


@pytest.mark.parametrize("framework", ["pymilvus", *FRAMEWORKS])
def test_the_page_names_the_versions(framework: str) -> None:
    program = "search.py" if framework == "pymilvus" else f"{framework.replace('-', '_')}_search.py"
    (row,) = (line for line in (APPS / "README.md").read_text().splitlines() if line.startswith(f"| [{program}]"))
    for name, version in pins(requirements(framework)).items():
        if name != "milvus-lite":
            assert f"{name} {version}" in row
