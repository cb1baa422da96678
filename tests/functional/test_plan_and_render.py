"""What a person is told before applying a file: plan on a real API server, and render without one."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from rerank_operator.resources.drift import is_drifted
from tests.cluster.control_plane import ControlPlane
from tests.functional.test_the_command_line import Run, a_kubeconfig_of, run
from tests.functional.world import World, a_reranker

pytestmark = pytest.mark.control_plane
Object = dict[str, Any]


def planned(kubeconfig: Path, folder: Path, namespace: str, resource: Object, *arguments: str) -> Run:
    file = folder / "bge.yaml"
    file.write_text(yaml.safe_dump(resource))
    return run(kubeconfig, "rerank-operator", "plan", str(file), "--namespace", namespace, *arguments)


def plan(world: World, folder: Path, *arguments: str, model: str = "model-a", **spec: Any) -> Run:
    return planned(
        world.control_plane.kubeconfig, folder, world.namespace, a_reranker("bge", model, **spec), *arguments
    )


def report(world: World, folder: Path, model: str = "model-a", **spec: Any) -> tuple[int, Object]:
    code, out, err = plan(world, folder, "--output", "json", model=model, **spec)
    assert "" == err
    (found,) = json.loads(out)
    return code, found


def actions(found: Object) -> set[tuple[str, str, str]]:
    return {(child["action"], child["kind"], child["name"]) for child in found["children"]}


def test_what_is_foreseen_for_a_new_reranker_is_what_comes(world: World, tmp_path: Path) -> None:
    code, found = report(world, tmp_path, replicas=2)
    assert (1, "create", None) == (code, found["action"], found["revision"]["before"])
    assert (0, 2, False) == tuple(found["pods"][key] for key in ("before", "after", "restart"))
    assert [] == world.objects("deployments")

    world.reranker(replicas=2)
    world.wait_for_reason("Ready")
    world.settle()
    kinds = "controllerrevisions,deployments,services,configmaps,poddisruptionbudgets"
    managed = world.objects(kinds, "app.kubernetes.io/managed-by=rerank-operator")
    there = {("create", obj["kind"], obj["metadata"]["name"]) for obj in managed}

    assert there == actions(found)


def test_what_is_rendered_without_a_cluster_is_what_the_operator_makes(world: World, tmp_path: Path) -> None:
    file = tmp_path / "bge.yaml"
    file.write_text(yaml.safe_dump(a_reranker("bge", "model-a", replicas=2)))
    kubeconfig = world.control_plane.kubeconfig
    code, out, _ = run(kubeconfig, "rerank-operator", "render", str(file), "--namespace", world.namespace, "--revision")
    world.reranker(replicas=2)
    world.wait_for_reason("Ready")
    world.settle()
    rendered = list(yaml.safe_load_all(out))
    for obj in rendered:
        del obj["metadata"]["ownerReferences"]
    drifted = [
        (obj["kind"], obj["metadata"]["name"])
        for obj in rendered
        if is_drifted(obj, world.get(obj["kind"], obj["metadata"]["name"]))
    ]

    assert (0, 6) == (code, len(rendered))
    assert [] == drifted


def test_nothing_to_change_is_told_by_the_exit_code(world: World, tmp_path: Path) -> None:
    world.reranker()
    world.wait_for_reason("Ready")
    world.settle()
    code, found = report(world, tmp_path)

    assert (0, "unchanged") == (code, found["action"])
    assert {"unchanged"} == {child["action"] for child in found["children"]}


def test_a_change_of_the_model_is_foreseen_with_its_revision_and_its_restart(world: World, tmp_path: Path) -> None:
    world.reranker()
    world.wait_for_reason("Ready")
    versions = world.settle()
    code, found = report(world, tmp_path, model="model-b")
    before, after = found["revision"]["before"], found["revision"]["after"]

    assert (1, "change", True) == (code, found["action"], found["pods"]["restart"])
    assert ["-    name: model-a", "+    name: model-b"] == [line for line in found["diff"] if line[0] in "+-"]
    assert {
        ("create", "Deployment", f"bge-{after}"),
        ("change", "Service", "bge"),
        ("change", "ConfigMap", "bge-milvus"),
        ("delete", "Deployment", f"bge-{before}"),
    } <= actions(found)
    (deployment,) = (c for c in found["children"] if (c["action"], c["kind"]) == ("create", "Deployment"))
    assert f"bge-{before}" == deployment["replaces"]
    changed = [line for line in deployment["diff"] if line[0] in "+-"]
    assert {"model-a", "model-b"} <= {line.split()[-1] for line in changed}
    assert all("model-a" in line or "model-b" in line for line in changed)
    assert versions == world.settle()

    world.reranker(model="model-b")
    world.wait_until(lambda: (world.get("rerankservice", "bge") or {})["status"].get("activeRevision") == after)
    world.wait_for_reason("Ready")
    world.settle()
    code, found = report(world, tmp_path, model="model-b")

    assert (0, set()) == (code, {action for action in actions(found) if action[0] != "unchanged"})


def test_a_change_that_touches_no_pod_says_so(world: World, tmp_path: Path) -> None:
    world.reranker()
    world.wait_for_reason("Ready")
    world.settle()
    code, out, _ = plan(world, tmp_path, milvus={"inputField": "body"})

    assert 1 == code
    assert f"change: RerankService bge in namespace {world.namespace}" == out.splitlines()[0]
    assert "1 model pod, of which none restarts" in out
    assert "change     ConfigMap           bge-milvus\n" in out
    assert "unchanged  Service " in out


def test_a_field_that_is_gone_from_an_applied_file_is_foreseen_to_go(world: World, tmp_path: Path) -> None:
    resource = a_reranker("bge", "model-a", milvus={"inputField": "body"})
    world.kubectl("apply", "-f", "-", stdin=json.dumps(resource))
    world.wait_for_reason("Ready")
    world.settle()
    code, found = report(world, tmp_path)

    assert (1, "change") == (code, found["action"])
    assert "-    inputField: body" in found["diff"]
    assert ("change", "ConfigMap", "bge-milvus") in actions(found)


def test_the_rules_of_the_api_server_are_quoted(control_plane: ControlPlane, namespace: str, tmp_path: Path) -> None:
    resource = a_reranker("bge", "model-a", engine={"args": ["--port=9000"]})
    code, out, err = planned(control_plane.kubeconfig, tmp_path, namespace, resource)

    assert (2, "") == (code, out)
    assert f"RerankService bge in namespace {namespace} is refused: InvalidSpec: " in err
    assert "engine.args must not hold --port; use spec.service.port instead" in err
    assert "" == control_plane.kubectl("get", "rrs", "-n", namespace, "--output=name")


def test_somebody_elses_object_with_our_name_is_found_before_anything_is_applied(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    control_plane.kubectl("create", "configmap", "bge-milvus", "--namespace", namespace)
    code, out, _ = planned(control_plane.kubeconfig, tmp_path, namespace, a_reranker("bge", "model-a"))

    assert 2 == code
    assert "conflict  ConfigMap           bge-milvus: it exists and is somebody else's" in out


def test_who_may_not_list_nodes_is_told_what_is_not_known(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    kubeconfig = a_kubeconfig_of(control_plane, namespace, "editor", tmp_path)
    control_plane.kubectl(
        "create", "rolebinding", "editor", "--clusterrole=edit", f"--serviceaccount={namespace}:editor", "-n", namespace
    )
    control_plane.kubectl(
        *("create", "role", "editor", "-n", namespace, "--verb=*", "--resource=rerankservices.rerank-operator.io")
    )
    control_plane.kubectl(
        *(
            "create",
            "rolebinding",
            "rerankers",
            "--role=editor",
            f"--serviceaccount={namespace}:editor",
            "-n",
            namespace,
        )
    )
    code, out, err = planned(kubeconfig, tmp_path, namespace, a_reranker("bge", "model-a"))

    assert 1 == code, err
    assert "1 nvidia.com/gpu for each pod; what is free is not known: no right to list nodes" in out


@pytest.fixture
def gpu_nodes(control_plane: ControlPlane) -> Iterator[None]:
    """Two nodes with two GPUs each, one of them behind a taint."""
    nodes = {"gpu-1": [], "gpu-2": [{"key": "nvidia.com/gpu", "effect": "NoSchedule"}]}
    for name, taints in nodes.items():
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}}
        control_plane.kubectl("create", "-f", "-", stdin=json.dumps(node))
        status = {"status": {"allocatable": {"nvidia.com/gpu": "2"}, "capacity": {"nvidia.com/gpu": "2"}}}
        control_plane.kubectl("patch", "node", name, "--subresource=status", "--patch", json.dumps(status))
        # The API server itself taints a node that has not said yet that it is ready.
        taint = {"spec": {"taints": taints}}
        control_plane.kubectl("patch", "node", name, "--type=merge", "--patch", json.dumps(taint))
    yield
    control_plane.kubectl("delete", "nodes", *nodes)


def test_accelerators_of_the_cluster_are_counted(
    control_plane: ControlPlane, namespace: str, gpu_nodes: None, tmp_path: Path
) -> None:
    wanted = a_reranker("bge", "BAAI/bge-reranker-v2-m3", replicas=3)
    _, out, err = planned(control_plane.kubeconfig, tmp_path, namespace, wanted)

    assert (
        "1 nvidia.com/gpu for each pod; 2 on 1 node, 2 free, 2 more behind taints that the pod does not tolerate: "
        "2 of 3 model pods fit now"
    ) in out, err


def test_what_the_catalog_refuses_is_told_before_anything_is_applied(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    wanted = a_reranker("bge", "mixedbread-ai/mxbai-rerank-base-v1")
    code, out, err = planned(control_plane.kubeconfig, tmp_path, namespace, wanted)

    assert (2, "") == (code, out)
    assert "is refused: ModelRefused: model.name is mixedbread-ai/mxbai-rerank-base-v1. " in err
    assert "Models that work: mixedbread-ai/mxbai-rerank-base-v2" in err


def test_a_namespace_that_does_not_exist_is_named(control_plane: ControlPlane, tmp_path: Path) -> None:
    code, _, err = planned(control_plane.kubeconfig, tmp_path, "nowhere", a_reranker("bge", "model-a"))

    assert 2 == code
    assert "Namespace 'nowhere' does not exist: kubectl create namespace nowhere." in err
