"""An operator with other templates leaves running pods alone until the user's next edit."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import rerank_operator
from tests.cluster.control_plane import ControlPlane
from tests.functional.world import World, running_world

PACKAGE = Path(rerank_operator.__file__).parent
PORTS = "    ports:\n"


@pytest.fixture
def upgradable(control_plane: ControlPlane, tmp_path: Path) -> Iterator[World]:
    """A world whose operator runs from a copy of the package."""
    copy = tmp_path / "installed"
    shutil.copytree(PACKAGE, copy / PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__"))
    with running_world(control_plane, tmp_path, {"PYTHONPATH": str(copy)}) as world:
        yield world


def upgrade(folder: Path, name: str) -> None:
    """Install a version whose pods have another port name, and whose guard says another thing."""
    package = folder / "installed" / PACKAGE.name
    template = package / "resources" / "templates" / "pod.yaml.j2"
    text = template.read_text()
    assert PORTS in text
    template.write_text(text.replace(PORTS, f"    workingDir: /{name}\n{PORTS}"))
    guard = package / "engine" / "rerank_guard.py"
    guard.write_text(f"{guard.read_text()}\n# {name}\n")


def working_folders(world: World) -> list[str | None]:
    return [pod["spec"]["containers"][0].get("workingDir") for pod in world.objects("pods")]


def test_pods_get_new_templates_with_the_users_next_edit_and_not_before(upgradable: World, tmp_path: Path) -> None:
    upgradable.reranker()
    upgradable.wait_for_reason("Ready")
    before = upgradable.settle()
    upgradable.operator.stop()
    upgrade(tmp_path, "second")
    upgradable.operator.start()

    assert before == upgradable.settle()
    assert [None] == working_folders(upgradable)

    upgradable.reranker(model="model-b")
    upgradable.wait_until(lambda: ["/second"] == working_folders(upgradable))
    upgradable.wait_for_reason("Ready")


def test_the_way_back_is_to_exactly_what_ran(upgradable: World, tmp_path: Path) -> None:
    upgradable.reranker()
    upgradable.wait_for_reason("Ready")
    upgradable.operator.stop()
    upgrade(tmp_path, "second")
    upgradable.operator.start()
    upgradable.reranker(model="model-b")
    upgradable.wait_until(lambda: ["/second"] == working_folders(upgradable))
    upgradable.reranker(model="model-a")

    upgradable.wait_until(lambda: [None] == working_folders(upgradable))
    upgradable.wait_for_reason("Ready")


@pytest.mark.parametrize("limit", [0, 1])
def test_the_history_holds_as_many_old_revisions_as_the_spec_says(world: World, limit: int) -> None:
    for model in ("model-a", "model-b", "model-c"):
        world.reranker(model=model, rollout={"revisionHistoryLimit": limit})
        world.wait_until(lambda: model == (world.get("rerankservice", "bge") or {})["spec"]["model"]["name"])  # noqa: B023
        world.wait_until(lambda: world.conditions()["Ready"].get("observedGeneration") == generation(world))
        world.wait_for_reason("Ready")

    world.wait_until(lambda: limit + 1 == len(world.objects("controllerrevisions")))


def generation(world: World) -> int:
    resource = world.get("rerankservice", "bge")
    assert resource is not None
    return int(resource["metadata"]["generation"])
