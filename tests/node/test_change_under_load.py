"""Whatever is changed, those who search see no failed and no wrong answer; and what it costs with one accelerator."""

import contextlib
import dataclasses
import json
from collections.abc import Iterator
from typing import Any, Final

import pytest

from tests.cluster import node
from tests.demo.errors import DemoError
from tests.demo.reranker import readiness
from tests.engine.tiny_reranker import ensure_model, ensure_second_model
from tests.images.engine import REFERENCE
from tests.load.search_load import ONE_REQUEST, SEVERAL_REQUESTS, LoadResult
from tests.node.conftest import MINUTE, NAMESPACE, Demo, Object
from tests.node.load_pod import searching

pytestmark = [pytest.mark.node, pytest.mark.timeout(1800)]

OPERATOR: Final = ("--namespace", "rerank-operator-system")
OPERATOR_PODS: Final = (*OPERATOR, "--selector", "app.kubernetes.io/name=rerank-operator")
# Half a minute on two idle cores; many times that on busy ones.
MODEL_STARTS_IN: Final = 10 * MINUTE
# In seconds. Looking takes processor time, of which the pods that start need all.
LOOK_SELDOM: Final = 2.0
FIRST, SECOND = "capitals-first", "capitals-second"
# Two engines whose threads are bound to the same two cores wait for each other's in busy loops: a start that takes
# 30 s alone then takes minutes beside one that serves.
ONE_FREE_THREAD: Final = (
    {"name": "OMP_NUM_THREADS", "value": "1"},
    {"name": "VLLM_CPU_OMP_THREADS_BIND", "value": "nobind"},
)


@dataclasses.dataclass
class Reranker:
    """A reranker of the tests in this file, and how its spec differs from the demo's."""

    demo: Demo
    name: str
    spec: Object

    @property
    def model(self) -> str:
        """Name of the model that is wanted."""
        name: str = self.spec["model"]["name"]
        return name

    def becomes(self, **changes: Any) -> None:
        """Apply a change and wait until it serves, and nothing else is left."""
        self.apply(**changes)
        self.wait_until_settled()

    def apply(self, **changes: Any) -> None:
        """Apply a change of fields of the spec."""
        self.spec = {**self.spec, **changes}
        self.demo.apply(
            {
                "apiVersion": "rerank-operator.io/v1alpha1",
                "kind": "RerankService",
                "metadata": {"name": self.name},
                "spec": self.spec,
            }
        )

    def wait_until_settled(self) -> None:
        """Wait until the spec as it is serves with all its pods, and no other pod is left."""
        self.demo.wait_until(lambda: self.is_ready() and self.has_only_wanted_pods(), MODEL_STARTS_IN, LOOK_SELDOM)

    def resource(self) -> Object:
        """The resource as it is now."""
        return self.demo.cluster.get("rerankservice", self.name, NAMESPACE) or {}

    def is_ready(self) -> bool:
        """Whether the spec as it is serves."""
        return readiness(self.resource()).is_ready

    def has_only_wanted_pods(self) -> bool:
        """Whether as many pods as wanted are ready, and none is there besides."""
        pods = self.pods()
        return len(pods) == self.spec["replicas"] and all(is_ready(pod) for pod in pods)

    def active_revision(self) -> str:
        """The revision that the Service routes to."""
        revision: str = self.resource()["status"]["activeRevision"]
        return revision

    def pods(self) -> list[Object]:
        """All its pods, with those that are going."""
        chosen = ("--selector", f"rerank-operator.io/reranker={self.name}")
        items: list[Object] = json.loads(self.demo.kubectl("get", "pods", *chosen, "--output", "json"))["items"]
        return items

    def pods_beside(self, revision: str) -> list[Object]:
        """Pods of other revisions."""
        return [pod for pod in self.pods() if pod["metadata"]["labels"]["rerank-operator.io/revision"] != revision]


def name_of(pod: Object) -> str:
    """Name of a pod."""
    name: str = pod["metadata"]["name"]
    return name


def is_ready(pod: Object) -> bool:
    """Whether a pod is ready and stays."""
    conditions = {c["type"]: c["status"] for c in pod["status"].get("conditions", [])}
    return "deletionTimestamp" not in pod["metadata"] and conditions.get("Ready") == "True"


def model(name: str) -> Object:
    """One of the two models on the demo's volume: they have other weights, so other scores."""
    folder = ensure_model() if name == FIRST else ensure_second_model()
    return {"name": name, "source": {"volume": {"claimName": "models", "path": folder.name}}}


def requests(cpu: str) -> Object:
    """Resources that differ in a request only."""
    return {"requests": {"cpu": cpu, "memory": "1Gi"}, "limits": {"memory": "4Gi"}}


@pytest.fixture(scope="module")
def reranker(demo: Demo) -> Iterator[Reranker]:
    """A reranker that serves. Each test says what it begins with, so each can run alone."""
    spec = {
        "model": model(FIRST),
        "accelerator": {"type": "CPU"},
        "engine": {"image": REFERENCE, "imagePullPolicy": "Never", "env": list(ONE_FREE_THREAD)},
        "resources": requests("100m"),
        "replicas": 1,
    }
    made = Reranker(demo, "searched", spec)
    made.becomes()
    yield made
    demo.kubectl("delete", "rrs", made.name)


@pytest.fixture(scope="module")
def accelerated(demo: Demo) -> Iterator[Reranker]:
    """A reranker whose pod takes every accelerator of the node. They are fake, so its vLLM is the one for CPU."""
    every_accelerator = {"name": "vllm", "resources": {"limits": {"nvidia.com/gpu": "2"}}}
    spec = {
        "model": model(FIRST),
        "accelerator": {"type": "NvidiaGPU"},
        "engine": {
            "image": REFERENCE,
            "imagePullPolicy": "Never",
            "args": ["--enforce-eager"],
            "dtype": "float32",
            "env": [{"name": "VLLM_CPU_KVCACHE_SPACE", "value": "1"}, *ONE_FREE_THREAD],
        },
        "resources": requests("100m"),
        "podTemplate": {"spec": {"containers": [every_accelerator]}},
        "rollout": {"strategy": "Auto", "recreateAfterSeconds": 5},
        "replicas": 1,
    }
    made = Reranker(demo, "accelerated", spec)
    made.becomes()
    yield made
    demo.kubectl("delete", "rrs", made.name)


def test_a_change_of_the_model_under_load(demo: Demo, reranker: Reranker) -> None:
    reranker.becomes(model=model(FIRST), replicas=1)
    with searching(demo, reranker.name, FIRST) as load:
        reranker.becomes(model=model(SECOND))
        load.wait_for_answer_from(SECOND)
        result = load.end()

    assert_nothing_was_lost(result)
    assert_switched_for_good(result, FIRST, SECOND)


def test_a_change_of_the_resources_under_load(demo: Demo, reranker: Reranker) -> None:
    reranker.becomes(resources=requests("100m"), replicas=1)
    with searching(demo, reranker.name, reranker.model) as load:
        before = reranker.active_revision()
        reranker.becomes(resources=requests("150m"))
        after = reranker.active_revision()
        result = load.end()

    assert before != after
    assert_nothing_was_lost(result)


def test_a_kill_of_the_operator_in_the_middle_of_a_roll_out_under_load(demo: Demo, reranker: Reranker) -> None:
    reranker.becomes(model=model(SECOND), replicas=1)
    with searching(demo, reranker.name, SECOND) as load:
        before = reranker.active_revision()
        reranker.apply(model=model(FIRST))
        demo.wait_until(lambda: reranker.pods_beside(before))
        kill_operator(demo)
        demo.wait_until(
            lambda: any(is_ready(pod) for pod in reranker.pods_beside(before)), MODEL_STARTS_IN, LOOK_SELDOM
        )
        demo.cluster.kubectl("delete", "pods", *OPERATOR_PODS, "--grace-period", "0", "--force")
        reranker.wait_until_settled()
        load.wait_for_answer_from(FIRST)
        result = load.end()

    assert_nothing_was_lost(result)
    assert_switched_for_good(result, SECOND, FIRST)


def test_a_second_replica_comes_under_load(demo: Demo, reranker: Reranker) -> None:
    reranker.becomes(replicas=1)
    with searching(demo, reranker.name, reranker.model) as load:
        reranker.becomes(replicas=2)
        result = load.end()

    assert_nothing_was_lost(result)


def test_a_drain_of_the_node_under_load_leaves_one_replica(demo: Demo, reranker: Reranker) -> None:
    reranker.becomes(replicas=2)
    before = {name_of(pod) for pod in reranker.pods()}
    with searching(demo, reranker.name, reranker.model) as load:
        with cordoned(demo) as node_name:
            said = drain(demo, node_name, reranker)
            left = {name_of(pod) for pod in reranker.pods() if is_ready(pod)}
        reranker.wait_until_settled()
        result = load.end()

    assert "would violate the pod's disruption budget" in said
    assert 1 == len(left & before)
    assert_nothing_was_lost(result)


def test_a_replica_goes_under_load(demo: Demo, reranker: Reranker) -> None:
    reranker.becomes(replicas=2)
    with searching(demo, reranker.name, reranker.model) as load:
        reranker.becomes(replicas=1)
        result = load.end()

    assert_nothing_was_lost(result)


def test_a_change_on_the_only_accelerator_goes_through_by_itself(demo: Demo, accelerated: Reranker) -> None:
    accelerated.becomes(model=model(FIRST))
    with searching(demo, accelerated.name, FIRST) as load:
        accelerated.becomes(model=model(SECOND))
        load.wait_for_answer_from(SECOND)
        result = load.end()

    assert_only_refused(demo, accelerated, result)
    assert_switched_for_good(result, FIRST, SECOND)


def test_a_bad_change_on_the_only_accelerator_ends_with_the_old_model(demo: Demo, accelerated: Reranker) -> None:
    accelerated.becomes()
    before, serving = accelerated.active_revision(), accelerated.model
    nowhere = {"name": "nowhere", "source": {"volume": {"claimName": "models", "path": "nowhere"}}}
    with searching(demo, accelerated.name, serving) as load:
        accelerated.apply(model=nowhere)
        demo.wait_until(lambda: "serves again" in demo.ready(accelerated.name)["message"], MODEL_STARTS_IN, LOOK_SELDOM)
        load.wait_for_answers_again()
        told = demo.ready(accelerated.name)
        result = load.end()

    assert ("False", "ModelNotFound") == (told["status"], told["reason"])
    assert f"Revision {before} serves again" in told["message"]
    assert before == accelerated.active_revision()
    assert [] == accelerated.pods_beside(before)
    assert_only_refused(demo, accelerated, result)
    assert [serving] == result.models


def assert_nothing_was_lost(result: LoadResult) -> None:
    """No failed request, no wrong answer, and only searches in flight at a switch were scored by two models."""
    assert [] == result.failures
    assert [] == result.wrong
    assert 0 == result.failed_requests
    assert 0 == result.wrong_answers
    for kind in (ONE_REQUEST, SEVERAL_REQUESTS):
        counts = result.kinds[kind.name]
        assert counts.searches > 0
        assert counts.mixed_searches <= (kind.workers if kind.requests > 1 else 0)


def assert_only_refused(demo: Demo, reranker: Reranker, result: LoadResult) -> None:
    """An outage that is meant: nobody got a wrong answer, and no request that was taken was lost.

    While the last pod drains, its Service still leads to it. The kernel resets those connections that came last, for
    the server closes without having seen them: at most one of each worker, as all later ones are refused. That
    none of them was a request in flight is what the hook before the stop is for, and it says when it failed.
    """
    assert [] == result.wrong
    assert result.failures
    reset = [failure for failure in result.failures if "ConnectionResetError" in failure]
    refused = [failure for failure in result.failures if "Connection refused" in failure or ": 503" in failure]
    assert sorted(result.failures) == sorted(reset + refused)
    assert len(reset) <= sum(kind.workers for kind in (ONE_REQUEST, SEVERAL_REQUESTS))
    assert [] == failed_drains(demo, reranker)


def failed_drains(demo: Demo, reranker: Reranker) -> list[str]:
    """What the kubelet said of pods that were ended with requests in flight."""
    chosen = ("--field-selector", "reason=FailedPreStopHook", "--output", "json")
    events = json.loads(demo.kubectl("get", "events", *chosen))["items"]
    return [event["message"] for event in events if event["involvedObject"]["name"].startswith(f"{reranker.name}-")]


def assert_switched_for_good(result: LoadResult, old: str, new: str) -> None:
    """Both models answered, the old one first, and the old one no more at the end."""
    assert [old, new] == result.models
    assert result.last_answers[old] < result.last_answers[new]


def kill_operator(demo: Demo) -> None:
    """Kill the operator's process, as a lack of memory does; the kubelet starts it anew in the same pod."""
    running = node.running()
    assert running is not None
    status = "jsonpath={.items[0].status.containerStatuses[0].containerID}"
    container = demo.cluster.kubectl("get", "pods", *OPERATOR_PODS, "--output", status).removeprefix("containerd://")
    running.run("ctr", "--namespace", "k8s.io", "tasks", "kill", "--signal", "SIGKILL", container)


@contextlib.contextmanager
def cordoned(demo: Demo) -> Iterator[str]:
    """Yield the name of the node, and see to it that afterwards pods may come to it again."""
    (found,) = demo.cluster.get_all("nodes")
    name: str = found["metadata"]["name"]
    try:
        yield name
    finally:
        demo.cluster.kubectl("uncordon", name)


def drain(demo: Demo, node_name: str, reranker: Reranker) -> str:
    """Drain the node and return why that did not end.

    Only of the reranker's pods: there is no other node to which the load and the cluster's DNS could go.
    """
    chosen = f"--pod-selector=rerank-operator.io/reranker={reranker.name}"
    try:
        demo.cluster.kubectl(
            "drain", node_name, "--ignore-daemonsets", "--delete-emptydir-data", chosen, "--timeout=20s"
        )
    except DemoError as error:
        return str(error)
    return "everything was drained"
