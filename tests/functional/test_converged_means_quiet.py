"""No writes once there is nothing to say, and repairs when somebody else wrote."""

import json
from collections import Counter

import pytest

from tests.functional.world import Object, World

CHILDREN = ("deployment", "service", "configmap", "controllerrevision")


def our_writes(world: World) -> Counter[str]:
    """Writes of the operator in the namespace so far, from the API server's audit log, by verb and resource."""
    writes: Counter[str] = Counter()
    for line in world.control_plane.audit_log.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        reference = entry.get("objectRef", {})
        if reference.get("namespace") != world.namespace or "rerank-operator" not in entry.get("userAgent", ""):
            continue
        if entry["verb"] in {"create", "update", "patch", "delete"} and entry["stage"] == "ResponseComplete":
            subresource = f"/{reference['subresource']}" if "subresource" in reference else ""
            writes[f"{entry['verb']} {reference['resource']}{subresource}"] += 1
    return writes


def test_creating_a_reranker_takes_one_write_per_child_two_for_the_status_and_one_event(world: World) -> None:
    world.reranker()
    world.wait_for_reason("Ready")
    world.settle()

    assert {
        "create controllerrevisions": 1,
        "create configmaps": 2,
        "create deployments": 1,
        "create services": 1,
        "patch rerankservices/status": 2,
        "create events": 1,
    } == dict(our_writes(world))


def test_a_restart_and_a_resync_write_nothing(world: World) -> None:
    world.reranker(replicas=2, resources={"limits": {"cpu": "0.5", "memory": "1000Mi"}})
    world.wait_for_reason("Ready")
    objects, writes = world.settle(), our_writes(world)
    world.operator.stop()
    world.operator.start()

    assert objects == world.settle()
    assert writes == our_writes(world)


def test_a_broken_reranker_is_quiet_too(world: World) -> None:
    world.engine("model-a").mode = "constant-scores"
    world.reranker()
    world.wait_for_reason("ScoresConstant")
    world.settle()
    asked, writes = len(world.engine("model-a").requests), our_writes(world)

    world.wait_until(lambda: len(world.engine("model-a").requests) > asked)
    assert writes == our_writes(world)


@pytest.mark.parametrize("kind", CHILDREN)
def test_a_deleted_child_comes_back_as_it_was(world: World, kind: str) -> None:
    world.reranker()
    world.wait_for_reason("Ready")
    before = {o["metadata"]["name"]: content(o) for o in world.objects(f"{kind}s", "rerank-operator.io/reranker=bge")}
    world.kubectl("delete", f"{kind}s", "--selector=rerank-operator.io/reranker=bge", "--wait=false")

    world.wait_until(
        lambda: (
            before
            == {o["metadata"]["name"]: content(o) for o in world.objects(f"{kind}s", "rerank-operator.io/reranker=bge")}
        )
    )
    world.wait_for_reason("Ready")


def content(obj: Object) -> object:
    """What matters of an object, without what the API server assigns."""
    if obj["kind"] == "ConfigMap":
        return obj["data"]
    if obj["kind"] == "ControllerRevision":
        return obj["data"]
    spec = dict(obj["spec"])
    for assigned in ("clusterIP", "clusterIPs"):
        spec.pop(assigned, None)
    return spec


EDITS = {
    "an argument of the engine": (
        "deployment",
        '[{"op": "add", "path": "/spec/template/spec/containers/0/command/-", "value": "--enforce-eager"}]',
    ),
    "the image": (
        "deployment",
        '[{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "localhost/other"}]',
    ),
    "the number of replicas": ("deployment", '[{"op": "replace", "path": "/spec/replicas", "value": 3}]'),
    "the selector of the Service": (
        "service",
        '[{"op": "add", "path": "/spec/selector/color", "value": "blue"}]',
    ),
    "a published value": ("configmap", '[{"op": "replace", "path": "/data/RERANK_MODEL", "value": "another"}]'),
}


@pytest.mark.parametrize(("kind", "patch"), EDITS.values(), ids=EDITS)
def test_an_edit_by_hand_is_taken_back(world: World, kind: str, patch: str) -> None:
    world.reranker()
    world.wait_for_reason("Ready")
    selector = "rerank-operator.io/reranker=bge,rerank-operator.io/role!=engine-files"
    (child,) = world.objects(f"{kind}s", selector)
    before, name = content(child), child["metadata"]["name"]
    world.kubectl("patch", kind, name, "--type=json", f"--patch={patch}")

    world.wait_until(lambda: before == content(world.get(kind, name) or {}))
