"""`plan` says what would change, what it costs, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from rerank_operator.api import names
from rerank_operator.cli import cli
from rerank_operator.cli.trial import three_way
from rerank_operator.clients.errors import ApiRejected, NotFound, ObjectInvalid
from tests.builders import a_resource, hash_of, serving
from tests.unit.cli.scripted_cluster import ScriptedCluster
from tests.unit.cli.test_fit import GPU, a_node, a_pod
from tests.unit.cli.test_outlook import objects

NO_NODES = 'nodes is forbidden: User "jane" cannot list resource "nodes" in API group "" at the cluster scope'


@pytest.fixture
def cluster() -> ScriptedCluster:
    """A cluster with one GPU that is free, and no reranker."""
    made = ScriptedCluster()
    made.put(None, {"kind": "Node", **a_node("node-1", 1)})
    return made


@pytest.fixture
def served(cluster: ScriptedCluster) -> ScriptedCluster:
    """The same, and the GPU is held by a reranker that serves."""
    cluster.put("search", a_resource())
    found = objects(serving())
    for kind in {obj["kind"] for obj in found}:
        cluster.put("search", *(obj for obj in found if obj["kind"] == kind))
    cluster.put(None, {"kind": "Pod", **a_pod(1, "node-1", reranker="bge")})
    return cluster


def plan(cluster: ScriptedCluster, folder: Path, *arguments: str, **spec: Any) -> tuple[int, str, str]:
    file = folder / "bge.yaml"
    resource = a_resource(**spec)
    resource["metadata"] = {"name": "bge"}
    file.write_text(yaml.safe_dump(resource))
    with cluster.connected():
        result = CliRunner().invoke(cli, ["plan", str(file), "--namespace", "search", *arguments])
    return result.exit_code, result.stdout, result.stderr


def report(cluster: ScriptedCluster, folder: Path, **spec: Any) -> dict[str, Any]:
    found: list[dict[str, Any]] = json.loads(plan(cluster, folder, "--output", "json", **spec)[1])
    return found[0]


def test_a_new_reranker_is_told_with_its_children_and_its_place(cluster: ScriptedCluster, tmp_path: Path) -> None:
    code, out, _ = plan(cluster, tmp_path)

    assert 1 == code
    assert "create: RerankService bge in namespace search" == out.splitlines()[0]
    assert f"  revision     {hash_of()}, the first\n" in out
    assert f"1 {GPU} for each pod; 1 on 1 node, 1 free: 1 model pod fits now" in out
    assert f"create  Deployment          bge-{hash_of()}\n" in out
    assert [("POST", {})] == cluster.tried
    assert cluster.closed


def test_nothing_to_change_ends_with_zero(served: ScriptedCluster, tmp_path: Path) -> None:
    code, out, err = plan(served, tmp_path)

    assert (0, "") == (code, err)
    assert "unchanged: RerankService bge in namespace search" == out.splitlines()[0]
    assert "1 model pod, of which none restarts" in out


def test_a_change_of_the_model_tells_that_the_pods_start_anew_and_have_no_room_yet(
    served: ScriptedCluster, tmp_path: Path
) -> None:
    code, out, _ = plan(served, tmp_path, model={"name": "BAAI/bge-reranker-base"})

    assert 1 == code
    assert f"{hash_of()} -> {hash_of(model={'name': 'BAAI/bge-reranker-base'})}" in out
    assert "1 model pod of the new revision starts beside those that serve, or in their place where" in out
    assert "1 held by this reranker: 0 of 1 model pod fit now, and the rest when the old ones are gone" in out
    assert "    -    name: BAAI/bge-reranker-v2-m3\n    +    name: BAAI/bge-reranker-base\n" in out


def test_what_the_api_server_refuses_is_quoted(cluster: ScriptedCluster, tmp_path: Path) -> None:
    cluster.refusal = ObjectInvalid('"bge" is invalid: engine.args must not hold --port')
    code, out, err = plan(cluster, tmp_path)

    assert (2, "") == (code, out)
    assert 'is refused: InvalidSpec: "bge" is invalid: engine.args must not hold --port' in err


def test_what_the_catalog_refuses_is_told_with_the_remedy(cluster: ScriptedCluster, tmp_path: Path) -> None:
    code, out, err = plan(cluster, tmp_path, model={"name": "mixedbread-ai/mxbai-rerank-base-v1"})

    assert (2, "") == (code, out)
    assert "is refused: ModelRefused: " in err
    assert "  remedy  " in err


def test_a_foreign_object_with_our_name_is_a_conflict(cluster: ScriptedCluster, tmp_path: Path) -> None:
    cluster.put("search", {"kind": "Service", "metadata": {"name": "bge", "labels": {}}})
    code, out, _ = plan(cluster, tmp_path)

    assert 2 == code
    assert "conflict  Service             bge: it exists and is somebody else's" in out


def test_without_the_right_to_list_nodes_that_is_said(cluster: ScriptedCluster, tmp_path: Path) -> None:
    cluster.objects["Node", None] = ApiRejected(NO_NODES)

    assert "what is free is not known: no right to list nodes" in plan(cluster, tmp_path)[1]


def test_a_pod_on_the_cpu_needs_no_nodes(cluster: ScriptedCluster, tmp_path: Path) -> None:
    cluster.objects["Node", None] = ApiRejected(NO_NODES)

    assert "  accelerator  none is asked for\n" in plan(cluster, tmp_path, accelerator={"type": "CPU"})[1]


def test_a_suspended_reranker_has_no_pods(served: ScriptedCluster, tmp_path: Path) -> None:
    found = report(served, tmp_path, suspend=True)

    assert (1, 0, False) == tuple(found["pods"][key] for key in ("before", "after", "restart"))
    assert 0 == found["accelerators"]["newPods"]


@pytest.mark.parametrize(
    ("metadata", "tried"),
    [
        ({}, ("PATCH", {"fieldManager": "kubectl", "force": "true"})),
        (
            {"managedFields": [{"operation": "Apply", "manager": "flux", "fieldsV1": {"f:spec": {}}}]},
            ("PATCH", {"fieldManager": "flux", "force": "true"}),
        ),
        (
            {
                "managedFields": [
                    {"operation": "Apply", "manager": "op", "subresource": "status", "fieldsV1": {"f:spec": {}}}
                ]
            },
            ("PATCH", {"fieldManager": "kubectl", "force": "true"}),
        ),
        (
            {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": json.dumps(a_resource())}},
            ("PUT", {}),
        ),
    ],
    ids=["nobody", "Flux", "the operator's status", "kubectl apply"],
)
def test_who_applied_before_decides_how_it_is_tried(
    served: ScriptedCluster, tmp_path: Path, metadata: dict[str, Any], tried: tuple[str, dict[str, str]]
) -> None:
    resource = a_resource()
    resource["metadata"] |= metadata
    served.put("search", resource)
    plan(served, tmp_path)

    assert [tried] == served.tried


def test_what_was_applied_and_is_gone_from_the_file_goes_and_what_others_set_stays() -> None:
    live = {"replicas": 3, "milvus": {"inputField": "body", "functionName": "f"}, "suspend": False}
    last = {"milvus": {"inputField": "body", "functionName": "f"}}

    assert {"replicas": 3, "milvus": {"functionName": "g"}, "suspend": False} == three_way(
        live, last, {"milvus": {"functionName": "g"}}
    )


def test_a_namespace_that_is_not_there_is_named(cluster: ScriptedCluster, tmp_path: Path) -> None:
    cluster.refusal = NotFound('failed to POST /x: 404 namespaces "search" not found')
    code, _, err = plan(cluster, tmp_path)

    assert 2 == code
    assert "Namespace 'search' does not exist: kubectl create namespace search." in err


def test_a_cluster_without_the_crd_is_told_apart(cluster: ScriptedCluster, tmp_path: Path) -> None:
    cluster.refusal = NotFound("failed to POST /x: 404 page not found")

    assert f"The API server knows no {names.KIND}." in plan(cluster, tmp_path)[2]


def test_a_file_that_cannot_be_used_ends_with_two_before_anybody_is_asked(
    cluster: ScriptedCluster, tmp_path: Path
) -> None:
    code, out, err = plan(cluster, tmp_path, replicas="many")

    assert (2, "", []) == (code, out, cluster.tried)
    assert "spec.replicas" in err


def test_a_secret_in_the_spec_is_not_shown(served: ScriptedCluster, tmp_path: Path) -> None:
    env = [{"name": "HF_TOKEN", "value": "hf_abcdefghijklmnop"}]
    for arguments in ((), ("--output", "json")):
        assert "hf_abcdefghijklmnop" not in plan(served, tmp_path, *arguments, engine={"env": env})[1]


def test_an_external_server_asks_for_no_accelerator_and_no_pod(cluster: ScriptedCluster, tmp_path: Path) -> None:
    code, out, err = plan(cluster, tmp_path, external={"endpoint": "http://vllm.search.svc:8000"})

    assert (1, "") == (code, err)
    assert "accelerator  none is asked for" in out
    assert "create  ConfigMap  bge-milvus" in out
