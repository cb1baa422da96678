"""The steps of the demo on a real API server; nothing runs pods there, so a test plays the operator."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tests.cluster.binaries import binary
from tests.cluster.control_plane import CONTROLLERS, ControlPlane
from tests.demo import steps
from tests.demo.errors import DemoError
from tests.demo.kubernetes import Cluster, given_cluster, namespace
from tests.demo.reranker import Reranker

pytestmark = pytest.mark.control_plane

CRD_FILE = steps.CHART / "crd" / "rerankservices.rerank-operator.io.yaml"
CRD = "rerankservices.rerank-operator.io"
SAMPLE = steps.REPOSITORY / "manifests" / "samples" / "demo.yaml"
MODELS = Path("/var/lib/models")
RERANKER = Reranker.from_sample(SAMPLE, "demo", model_path="tiny-reranker-1")


@pytest.fixture(scope="module")
def control_plane() -> Iterator[ControlPlane]:
    # Without its protection controllers no claim, and so no namespace that holds one, is ever gone.
    protection = ("persistentvolumeclaim-protection-controller", "persistentvolume-protection-controller")
    with ControlPlane(manifests=[CRD_FILE], controllers=[*CONTROLLERS, *protection]) as running:
        yield running


@pytest.fixture(scope="module")
def cluster(control_plane: ControlPlane) -> Cluster:
    return Cluster(control_plane.kubeconfig, str(binary("kubectl")), str(binary("helm")), ours=False)


def quiet() -> Console:
    return Console(file=io.StringIO(), width=200)


def text(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def created(cluster: Cluster) -> Cluster:
    steps.claim_namespace(cluster, "demo", started_cluster=False)
    steps.create_reranker(cluster, RERANKER, MODELS, quiet())
    return cluster


def say_ready(cluster: Cluster, **change: Any) -> None:
    found = cluster.get("rerankservice", "capitals", "demo")
    assert found is not None
    condition = {
        "type": "Ready",
        "status": "True",
        "reason": "Ready",
        "message": "It serves.",
        "observedGeneration": found["metadata"]["generation"],
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    status = {"configMapName": "capitals-milvus", "conditions": [{**condition, **change}]}
    cluster.kubectl(
        *("patch", "rerankservice", "capitals", "--namespace", "demo", "--subresource", "status"),
        *("--type", "merge", "--patch", json.dumps({"status": status})),
    )


def test_the_resource_and_its_volume_can_be_applied_twice(cluster: Cluster) -> None:
    created(created(cluster))
    claim = cluster.get("persistentvolumeclaim", "models", "demo")
    assert claim is not None
    assert steps.MODEL_VOLUME == claim["spec"]["volumeName"]


def test_the_namespace_admits_only_restricted_pods(cluster: Cluster) -> None:
    steps.claim_namespace(cluster, "demo", started_cluster=False)
    found = cluster.get("namespace", "demo")
    assert found is not None
    assert "restricted" == found["metadata"]["labels"]["pod-security.kubernetes.io/enforce"]


def test_a_namespace_of_somebody_else_is_refused_and_never_deleted(cluster: Cluster) -> None:
    with pytest.raises(DemoError, match="namespace default exists and the demo did not create it"):
        steps.claim_namespace(cluster, "default", started_cluster=False)
    steps.remove_demo(cluster, "default", quiet())
    found = cluster.get("namespace", "default")
    assert found is not None
    assert "deletionTimestamp" not in found["metadata"]


def test_waiting_shows_the_rows_and_ends_when_the_resource_is_ready(cluster: Cluster) -> None:
    created(cluster)
    say_ready(cluster)
    console = quiet()
    found = steps.wait_until_ready(cluster, RERANKER, console)
    assert "capitals-milvus" == found["status"]["configMapName"]
    (row,) = (line.split() for line in text(console).splitlines() if " capitals " in line and "True" in line)
    assert ["0", "capitals", "True", "Ready", "capitals-milvus"] == row


def test_a_resource_that_does_not_get_ready_ends_the_demo_with_its_message(cluster: Cluster) -> None:
    created(cluster)
    say_ready(cluster, status="False", reason="ImagePullFailed", message="Check spec.engine.image.")
    with pytest.raises(DemoError, match=r"not Ready after 0 s: ImagePullFailed: Check spec\.engine\.image\."):
        steps.wait_until_ready(cluster, RERANKER, quiet(), seconds=0)


def test_the_published_data_is_read_from_the_config_map_that_the_status_names(cluster: Cluster) -> None:
    created(cluster)
    say_ready(cluster)
    found = steps.wait_until_ready(cluster, RERANKER, quiet())
    with pytest.raises(DemoError, match="ConfigMap demo/capitals-milvus is gone"):
        steps.read_publication(cluster, found)
    cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "capitals-milvus", "namespace": "demo"},
            "data": {"params.json": "{}"},
        }
    )
    assert {"params.json": "{}"} == steps.read_publication(cluster, found)


def test_a_cluster_of_ours_is_reached_by_the_address_of_the_service(cluster: Cluster) -> None:
    created(cluster)
    port = {"port": 8000, "protocol": "TCP"}
    metadata = {"name": "capitals", "namespace": "demo"}
    cluster.apply({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"ports": [port]}})
    service = cluster.get("service", "capitals", "demo")
    assert service is not None
    ours = Cluster(cluster.kubeconfig, cluster.kubectl_program, cluster.helm_program, ours=True)
    with steps.reachable_engine(ours, RERANKER, quiet()) as address:
        assert f"http://{service['spec']['clusterIP']}:8000" == address


def test_a_port_forward_that_fails_says_what_kubectl_says(cluster: Cluster) -> None:
    created(cluster)
    with (
        pytest.raises(DemoError, match=r'port-forward to service/nobody failed: .*"nobody" not found'),
        cluster.forwarded("nobody", "demo", 8000),
    ):
        raise AssertionError("nothing can be forwarded")


def test_down_removes_all_that_up_created_and_can_be_repeated(cluster: Cluster) -> None:
    created(cluster)
    assert not steps.remove_demo(cluster, "demo", quiet())
    assert cluster.get("namespace", "demo") is None
    assert cluster.get("persistentvolume", steps.MODEL_VOLUME) is None
    assert not steps.remove_demo(cluster, "demo", quiet())


def test_down_knows_whether_up_had_started_the_cluster(cluster: Cluster) -> None:
    steps.remove_demo(cluster, "demo", quiet())
    steps.claim_namespace(cluster, "demo", started_cluster=True)
    assert steps.remove_demo(cluster, "demo", quiet())


def test_down_leaves_the_crd_to_rerankers_of_others(cluster: Cluster) -> None:
    cluster.apply(namespace(steps.OPERATOR_NAMESPACE, {}))
    other = Reranker.from_sample(SAMPLE, "default").manifest
    cluster.apply(other)
    console = quiet()
    steps.remove_demo(cluster, "demo", console)
    assert "the CRD stays, because it would take these along: default/capitals" in text(console)
    cluster.kubectl("delete", "rerankservice", "capitals", "--namespace", "default")


def test_down_deletes_the_crd_of_a_demo_that_was_alone(cluster: Cluster) -> None:
    cluster.apply(namespace(steps.OPERATOR_NAMESPACE, {}))
    steps.remove_demo(cluster, "demo", quiet())
    assert cluster.get("customresourcedefinition", CRD) is None
    cluster.kubectl("apply", "--server-side", "--filename", str(CRD_FILE))


def test_a_kubeconfig_that_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DemoError, match="missing is no file"):
        given_cluster(tmp_path / "missing")
