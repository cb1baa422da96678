"""The autoscaler and the budget for node drains, as a real API server and Kubernetes' own controllers take them."""

import json
import re
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from rerank_operator.api import names
from rerank_operator.api.v1alpha1 import RerankService
from rerank_operator.resources.autoscaler import build_autoscaler, waiting_requests_query
from rerank_operator.resources.disruption import build_disruption_budget
from tests.cluster.control_plane import CONTROLLERS, ControlPlane
from tests.cluster.errors import KubectlError
from tests.contract.generate import CRD_FILE

pytestmark = pytest.mark.control_plane

Object = dict[str, Any]
Seen = TypeVar("Seen")
SCALED_OBJECT_CRD = Path(__file__).resolve().parents[1] / "doubles" / "scaled_object_crd.yaml"
ACTIVE, CANDIDATE = "5f8d7c01", "0a1b2c3d"
LONGEST_NAME = "a" * names.MAX_NAME_LENGTH
# The autoscaler controller looks at a new autoscaler after its first 15 seconds.
AUTOSCALER_SECONDS = 60.0
CPU_METRIC = {
    "type": "Resource",
    "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}},
}
WAITING = {"prometheusAddress": "http://prometheus.monitoring.svc:9090", "perPod": 300}


class Cluster:
    """One namespace of a control plane whose autoscaler controller runs."""

    def __init__(self, control_plane: ControlPlane, namespace: str) -> None:
        self._control_plane = control_plane
        self._namespace = namespace

    def kubectl(self, *arguments: str, stdin: str = "") -> str:
        return self._control_plane.kubectl("--namespace", self._namespace, *arguments, stdin=stdin)

    def create(self, obj: Object) -> Object:
        """Create an object; the API server refuses fields that it does not know."""
        created: Object = json.loads(
            self.kubectl("create", "--validate=strict", "-f", "-", "--output=json", stdin=json.dumps(obj))
        )
        return created

    def get(self, kind: str, name: str) -> Object:
        found: Object = json.loads(self.kubectl("get", kind, name, "--output=json"))
        return found

    def reranker(self, name: str, **spec: Any) -> Object:
        metadata = {"name": name, "namespace": self._namespace}
        model = {"name": "BAAI/bge-reranker-v2-m3"}
        return self.create(
            {
                "apiVersion": names.API_VERSION,
                "kind": names.KIND,
                "metadata": metadata,
                "spec": {"model": model, **spec},
            }
        )

    def autoscaled(self, name: str, **autoscaling: Any) -> Object:
        """A reranker with its autoscaler; returns the autoscaler as it was created."""
        owner = self.reranker(name, autoscaling=autoscaling)
        return self.create(build_autoscaler(parsed(owner), owner))

    def deployment(self, reranker: str, revision: str, replicas: int) -> None:
        selector = names.revision_selector(reranker, revision)
        template = {"metadata": {"labels": selector}, "spec": {"containers": [{"name": "vllm", "image": "vllm"}]}}
        self.create(
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {"name": names.revision_name(reranker, revision)},
                "spec": {"replicas": replicas, "selector": {"matchLabels": selector}, "template": template},
            }
        )

    def pods_of(self, reranker: str) -> list[str]:
        selector = f"{names.LABEL_RERANKER}={reranker}"
        return self.kubectl("get", "pods", "-l", selector, "--output=jsonpath={.items[*].metadata.name}").split()


def parsed(resource: Object) -> RerankService:
    reranker: RerankService = RerankService.model_validate({k: v for k, v in resource.items() if k != "status"})
    return reranker


def eventually(look: Callable[[], Seen], accepted: Callable[[Seen], object], seconds: float = 20.0) -> Seen:
    """Look until what is seen is accepted, or fail with what was seen last."""
    deadline = time.monotonic() + seconds
    while not accepted(seen := look()):
        assert time.monotonic() < deadline, f"after {seconds:g} s still {seen!r}"
        time.sleep(0.1)
    return seen


@pytest.fixture(scope="module")
def control_plane() -> Iterator[ControlPlane]:
    controllers = (*CONTROLLERS, "horizontal-pod-autoscaler-controller")
    with ControlPlane(manifests=[CRD_FILE, SCALED_OBJECT_CRD], controllers=controllers) as running:
        yield running


@pytest.fixture(scope="module")
def cluster(control_plane: ControlPlane) -> Cluster:
    namespace = f"test-{uuid.uuid4().hex[:8]}"
    control_plane.kubectl("create", "namespace", namespace)
    return Cluster(control_plane, namespace)


@pytest.fixture(scope="module", autouse=True)
def autoscalers(cluster: Cluster) -> None:
    """Created before the first test and looked at in the last ones: the controller takes its time for a first look."""
    cluster.autoscaled("steady", maxReplicas=4, metrics=[CPU_METRIC])
    cluster.autoscaled("raised", minReplicas=3, maxReplicas=4, metrics=[CPU_METRIC])


def condition_of(autoscaler: Object, kind: str) -> Object:
    found = [c for c in autoscaler.get("status", {}).get("conditions", []) if c["type"] == kind]
    return found[0] if found else {}


def test_an_autoscaler_goes_with_its_reranker(cluster: Cluster) -> None:
    cluster.autoscaled("deleted", maxReplicas=4, metrics=[CPU_METRIC])
    cluster.kubectl("delete", "rrs", "deleted")
    eventually(
        lambda: cluster.kubectl("get", "hpa", "deleted", "--ignore-not-found", "--output=name"), lambda seen: not seen
    )


def test_a_wrong_metric_is_refused_with_its_field(cluster: Cluster) -> None:
    wrong = {
        "type": "Resource",
        "resource": {"name": "cpu", "target": {"type": "Percent", "averageUtilization": 70}},
    }
    with pytest.raises(KubectlError, match=r"spec\.metrics\[0\]\.resource\.target\.type"):
        cluster.autoscaled("wrong", maxReplicas=4, metrics=[wrong])


def test_a_scaled_object_is_what_keda_s_kind_takes(cluster: Cluster) -> None:
    created = cluster.autoscaled("waiting", maxReplicas=4, waitingRequests=WAITING)
    (trigger,) = created["spec"]["triggers"]
    assert "300" == trigger["metadata"]["threshold"]


def test_the_budget_counts_the_pods_of_the_active_revision_only(cluster: Cluster) -> None:
    owner = cluster.reranker("rolling", replicas=2)
    cluster.deployment("rolling", ACTIVE, 2)
    cluster.deployment("rolling", CANDIDATE, 2)
    eventually(lambda: len(cluster.pods_of("rolling")), lambda seen: seen == 4)
    cluster.create(build_disruption_budget(parsed(owner), owner, ACTIVE))
    status = eventually(
        lambda: cluster.get("pdb", "rolling").get("status", {}), lambda seen: seen.get("expectedPods", 0) > 1
    )
    assert (2, 1) == (status["expectedPods"], status["desiredHealthy"])


def test_the_query_finds_the_pods_of_the_longest_name_that_kubernetes_shortens(cluster: Cluster) -> None:
    cluster.deployment(LONGEST_NAME, ACTIVE, 1)
    (pod,) = eventually(lambda: cluster.pods_of(LONGEST_NAME), lambda seen: len(seen) == 1)

    assert names.revision_name(LONGEST_NAME, ACTIVE) not in pod
    selected = re.search(r'pod=~"([^"]+)"', waiting_requests_query(LONGEST_NAME, "search"))
    assert selected is not None
    assert re.fullmatch(selected[1], pod)


def test_the_autoscaler_finds_the_scale_of_the_reranker(cluster: Cluster) -> None:
    seen = eventually(lambda: condition_of(cluster.get("hpa", "steady"), "AbleToScale"), bool, AUTOSCALER_SECONDS)
    assert ("True", "SucceededGetScale") == (seen["status"], seen["reason"])


def test_the_autoscaler_sets_the_replicas_of_the_reranker(cluster: Cluster) -> None:
    replicas = eventually(
        lambda: cluster.get("rrs", "raised")["spec"]["replicas"], lambda seen: seen != 1, AUTOSCALER_SECONDS
    )
    assert 3 == replicas
