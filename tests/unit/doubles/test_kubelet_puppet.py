"""The kubelet puppet on a real control plane: the API server judges whether what it writes is a pod's status."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.cluster.control_plane import ControlPlane
from tests.doubles import pod_status
from tests.doubles.kubelet import KubeletPuppet, RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.doubles.pod_status import Behaviour, Pod

pytestmark = pytest.mark.control_plane


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    with ControlPlane() as plane:
        yield plane


@pytest.fixture
def name(plane: ControlPlane, request: pytest.FixtureRequest) -> Iterator[str]:
    """A name for one Deployment, which is gone after the test."""
    name = f"d{abs(hash(request.node.name))}"
    yield name
    plane.kubectl("delete", "deployment", name, "--ignore-not-found", "--wait=false")


def deploy(plane: ControlPlane, name: str, *, replicas: int = 1, gpus: int = 0) -> None:
    labels = {"puppet": name}
    limits = {"nvidia.com/gpu": str(gpus)} if gpus else {}
    container = {"name": "vllm", "image": "vllm:1", "resources": {"limits": limits}}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }
    plane.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(deployment))


def pods(plane: ControlPlane, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(plane.kubectl("get", "pods", "-l", f"puppet={name}", "-o", "json"))[
        "items"
    ]
    return found


def wait_until(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def the_pod(plane: ControlPlane, name: str, phase: str) -> dict[str, Any]:
    """Return the only pod once a kubelet, or the puppet, has written conditions and the phase."""
    wait_until(
        lambda: [(phase, True)] == [(p["status"]["phase"], "conditions" in p["status"]) for p in pods(plane, name)]
    )
    return pods(plane, name)[0]


def ready_condition(pod: Pod) -> str:
    statuses: dict[str, str] = {condition["type"]: condition["status"] for condition in pod["status"]["conditions"]}
    return statuses["Ready"]


def test_a_pod_becomes_ready_and_its_deployment_available(plane: ControlPlane, name: str) -> None:
    before = time.time()
    with KubeletPuppet(plane.kubeconfig, f"puppet={name}", ready_after=0.01) as puppet:
        deploy(plane, name, replicas=2)
        plane.kubectl("wait", "deployment", name, "--for=condition=Available", "--timeout=30s")
        status = pods(plane, name)[0]["status"]
    (container,) = status["containerStatuses"]
    assert ("Running", "127.0.0.1") == (status["phase"], status["podIP"])
    assert (True, 0, "containerd://") == (container["ready"], container["restartCount"], container["containerID"][:13])
    assert {"startedAt"} == set(container["state"]["running"])
    assert 2 == len(puppet.ready_at)
    assert all(before <= moment <= time.time() for moment in puppet.ready_at.values())


def test_pods_that_exist_already_become_ready_too(plane: ControlPlane, name: str) -> None:
    deploy(plane, name)
    wait_until(lambda: len(pods(plane, name)) == 1)
    with KubeletPuppet(plane.kubeconfig, f"puppet={name}"):
        assert "True" == ready_condition(the_pod(plane, name, "Running"))


def test_each_pod_can_have_an_address_of_its_own(plane: ControlPlane, name: str) -> None:
    with KubeletPuppet(
        plane.kubeconfig, f"puppet={name}", pod_ip=lambda pod: f"127.1.{len(pod['metadata']['name'])}.9"
    ):
        deploy(plane, name)
        pod = the_pod(plane, name, "Running")
    assert f"127.1.{len(pod['metadata']['name'])}.9" == pod["status"]["podIP"]


@pytest.mark.parametrize(
    ("behaviour", "phase", "state"),
    [
        (pod_status.never_ready(), "Running", {"running"}),
        (pod_status.image_pull_back_off(), "Pending", "ImagePullBackOff"),
        (pod_status.create_container_config_error(), "Pending", "CreateContainerConfigError"),
        (pod_status.crash_loop("boom", exit_code=0), "Running", "CrashLoopBackOff"),
        (pod_status.start_error(), "Running", "CrashLoopBackOff"),
        (pod_status.mount_failed(), "Pending", "ContainerCreating"),
        (pod_status.not_ready_any_more(), "Running", {"running"}),
        (pod_status.node_lost(), "Running", {"running"}),
    ],
)
def test_a_pod_fails_as_it_is_told(
    plane: ControlPlane, name: str, behaviour: Behaviour, phase: str, state: str | set[str]
) -> None:
    with KubeletPuppet(plane.kubeconfig, f"puppet={name}", behaviour=lambda _pod: behaviour) as puppet:
        deploy(plane, name)
        pod = the_pod(plane, name, phase)
    (container,) = pod["status"]["containerStatuses"]
    assert state == container["state"].get("waiting", {}).get("reason", set(container["state"]))
    assert "False" == ready_condition(pod)
    assert {} == puppet.ready_at


def test_a_crash_loop_holds_the_termination_message(plane: ControlPlane, name: str) -> None:
    behaviour = pod_status.crash_loop("no weights", exit_code=137, reason="OOMKilled", restarts=5)
    with KubeletPuppet(plane.kubeconfig, f"puppet={name}", behaviour=lambda _pod: behaviour):
        deploy(plane, name)
        (container,) = the_pod(plane, name, "Running")["status"]["containerStatuses"]
    last = container["lastState"]["terminated"]
    assert (5, 137, "OOMKilled", "no weights") == (
        container["restartCount"],
        last["exitCode"],
        last["reason"],
        last["message"],
    )


def test_a_pod_that_fits_nowhere_says_so_in_its_condition(plane: ControlPlane, name: str) -> None:
    with KubeletPuppet(plane.kubeconfig, f"puppet={name}", behaviour=lambda _pod: pod_status.unschedulable()):
        deploy(plane, name)
        pod = the_pod(plane, name, "Pending")
    (condition,) = pod["status"]["conditions"]
    assert ("PodScheduled", "False", "Unschedulable") == (condition["type"], condition["status"], condition["reason"])


def test_an_event_about_the_pod_comes_with_what_happens_to_it(plane: ControlPlane, name: str) -> None:
    with KubeletPuppet(plane.kubeconfig, f"puppet={name}", behaviour=lambda _pod: pod_status.mount_failed()):
        deploy(plane, name)
        pod = the_pod(plane, name, "Pending")
        wait_until(lambda: len(events_of(plane, pod)) == 1)
    (event,) = events_of(plane, pod)
    assert pod_status.NOT_MOUNTED == (event["type"], event["reason"], event["message"])
    assert ("kubelet", 1) == (event["source"]["component"], event["count"])


def events_of(plane: ControlPlane, pod: Pod) -> list[dict[str, Any]]:
    chosen = f"involvedObject.uid={pod['metadata']['uid']}"
    found: list[dict[str, Any]] = json.loads(
        plane.kubectl("get", "events", f"--field-selector={chosen},source=kubelet", "-o", "json")
    )["items"]
    return found


def test_a_pod_that_restarts_goes_through_all_states_and_stays_not_ready_since_the_first(
    plane: ControlPlane, name: str
) -> None:
    behaviour = pod_status.restarting("boom", every=0.1)
    with KubeletPuppet(plane.kubeconfig, f"puppet={name}", behaviour=lambda _pod: behaviour):
        deploy(plane, name)
        first = ready_since(the_pod(plane, name, "Running"))
        seen: set[str] = set()

        def has_seen_all() -> bool:
            seen.update(the_state(plane, name))
            return {"running", "terminated", "waiting"} <= seen

        wait_until(has_seen_all)
        wait_until(lambda: pods(plane, name)[0]["status"]["containerStatuses"][0]["restartCount"] >= 5)
        assert first == ready_since(pods(plane, name)[0])


def the_state(plane: ControlPlane, name: str) -> set[str]:
    """What state the only container is in."""
    return set(pods(plane, name)[0]["status"]["containerStatuses"][0]["state"])


def ready_since(pod: Pod) -> tuple[str, str]:
    (ready,) = [condition for condition in pod["status"]["conditions"] if condition["type"] == "Ready"]
    return ready["status"], ready["lastTransitionTime"]


def test_a_pull_fails_and_waits_in_turn(plane: ControlPlane, name: str) -> None:
    behaviour = pod_status.pull_loop(pod_status.IMAGE_UNAUTHORIZED, every=0.1)
    with KubeletPuppet(plane.kubeconfig, f"puppet={name}", behaviour=lambda _pod: behaviour):
        deploy(plane, name)
        the_pod(plane, name, "Pending")
        seen: dict[str, str] = {}

        def both_were_seen() -> bool:
            # Kept when it is seen: a moment later the pod waits for the other reason again.
            seen.update(why_it_waits(plane, name))
            return {"ErrImagePull", "ImagePullBackOff"} == seen.keys()

        wait_until(both_were_seen)
    assert seen["ImagePullBackOff"] == f'Back-off pulling image "vllm:1": ErrImagePull: {seen["ErrImagePull"]}'
    assert seen["ErrImagePull"].endswith("401 Unauthorized")


def why_it_waits(plane: ControlPlane, name: str) -> dict[str, str]:
    """By reason, the message of the state in which the only container waits."""
    waiting = pods(plane, name)[0]["status"]["containerStatuses"][0]["state"]["waiting"]
    return {waiting["reason"]: waiting["message"]}


def test_an_evicted_pod_stays_as_it_ended_and_its_successor_waits_for_a_node(plane: ControlPlane, name: str) -> None:
    told: dict[str, Behaviour | None] = {"behaviour": pod_status.evicted()}
    with KubeletPuppet(plane.kubeconfig, f"puppet={name}", behaviour=lambda _pod: told["behaviour"]) as puppet:
        deploy(plane, name)
        wait_until(lambda: reasons_of(plane, name) == ["", "Evicted"])
        (waiting,) = [pod for pod in pods(plane, name) if "reason" not in pod["status"]]
        wait_until(lambda: pod_status.TAINTED in plane.kubectl("get", "pod", waiting["metadata"]["name"], "-o", "json"))
        told["behaviour"] = None
        puppet.refresh()
        wait_until(lambda: [waiting["metadata"]["name"]] == [pod for _, pod in puppet.ready_at])
        assert ["", "Evicted"] == reasons_of(plane, name)


def reasons_of(plane: ControlPlane, name: str) -> list[str]:
    """The reason of each pod for its phase; empty for one that has not ended."""
    return sorted(pod["status"].get("reason", "") for pod in pods(plane, name))


def test_only_the_node_controller_leaves_the_containers_of_a_lost_pod_ready(plane: ControlPlane, name: str) -> None:
    with KubeletPuppet(plane.kubeconfig, f"puppet={name}", behaviour=lambda _pod: pod_status.node_lost()):
        deploy(plane, name)
        conditions = {c["type"]: c["status"] for c in the_pod(plane, name, "Running")["status"]["conditions"]}
    assert ("False", "True") == (conditions["Ready"], conditions["ContainersReady"])


def test_a_pod_can_be_ready_first_and_fail_later(plane: ControlPlane, name: str) -> None:
    behaviour = pod_status.ready_until(pod_status.not_ready_any_more(after=0.5))
    with KubeletPuppet(plane.kubeconfig, f"puppet={name}", behaviour=lambda _pod: behaviour):
        deploy(plane, name)
        wait_until(lambda: ready_condition(the_pod(plane, name, "Running")) == "True")
        wait_until(lambda: ready_condition(pods(plane, name)[0]) == "False")
    assert pods(plane, name)[0]["status"]["containerStatuses"][0]["started"]


def test_a_pod_that_recovers_says_nothing_of_what_was(plane: ControlPlane, name: str) -> None:
    told: dict[str, Behaviour | None] = {"behaviour": pod_status.unschedulable()}
    with KubeletPuppet(plane.kubeconfig, f"puppet={name}", behaviour=lambda _pod: told["behaviour"]) as puppet:
        deploy(plane, name)
        the_pod(plane, name, "Pending")
        told["behaviour"] = None
        puppet.refresh()
        assert [] == [c for c in the_pod(plane, name, "Running")["status"]["conditions"] if "reason" in c]


def test_a_failing_pod_recovers_when_it_is_told(plane: ControlPlane, name: str) -> None:
    told = {"failing": True}

    def behaviour(_pod: Pod) -> Behaviour | None:
        return pod_status.crash_loop("boom") if told["failing"] else None

    with KubeletPuppet(plane.kubeconfig, f"puppet={name}", behaviour=behaviour) as puppet:
        deploy(plane, name)
        assert "False" == ready_condition(the_pod(plane, name, "Running"))
        told["failing"] = False
        puppet.refresh()
        wait_until(lambda: ready_condition(pods(plane, name)[0]) == "True")


def test_a_deleted_pod_is_gone_and_its_successor_ready(plane: ControlPlane, name: str) -> None:
    with KubeletPuppet(plane.kubeconfig, f"puppet={name}") as puppet:
        deploy(plane, name)
        first = the_pod(plane, name, "Running")["metadata"]["name"]
        plane.kubectl("delete", "pod", first, "--wait=false")
        wait_until(lambda: len(puppet.ready_at) == 2)
        assert [first] != [pod["metadata"]["name"] for pod in pods(plane, name)]


def test_the_puppet_outlives_a_restart_of_the_api_server(plane: ControlPlane, name: str) -> None:
    with KubeletPuppet(plane.kubeconfig, f"puppet={name}") as puppet:
        plane.restart_api()
        deploy(plane, name)
        wait_until(lambda: len(puppet.ready_at) == 1)


def test_a_status_that_the_api_server_refuses_is_raised_at_the_end(plane: ControlPlane, name: str) -> None:
    puppet = KubeletPuppet(plane.kubeconfig, f"puppet={name}", pod_ip="no address", ready_after=0)
    puppet.start()
    deploy(plane, name)
    wait_until(lambda: puppet.failed)
    with pytest.raises(RefusedError, match=r"PATCH .*/status: 422 .*no address"):
        puppet.stop()


def test_an_api_server_that_is_not_there_is_raised_at_the_start(plane: ControlPlane, name: str) -> None:
    plane.stop_api()
    try:
        with pytest.raises(OSError, match="Cannot connect"):
            KubeletPuppet(plane.kubeconfig, f"puppet={name}").start()
    finally:
        plane.start_api()


def test_on_a_full_node_the_next_pod_waits_until_the_first_has_ended() -> None:
    nodes = {"node-1": {"nvidia.com/gpu": "1"}}

    def drains(_pod: Pod) -> Behaviour:
        return pod_status.becomes_ready(stop_after=0.5)

    with (
        ControlPlane(scheduler=True) as plane,
        KubeletPuppet(plane.kubeconfig, nodes=nodes, behaviour=drains) as puppet,
    ):
        deploy(plane, "first", gpus=1)
        assert "node-1" == the_pod(plane, "first", "Running")["spec"]["nodeName"]
        deploy(plane, "second", gpus=1)
        (condition,) = the_pod(plane, "second", "Pending")["status"]["conditions"]
        assert ("Unschedulable", pod_status.NO_GPU_LEFT) == (condition["reason"], condition["message"])
        plane.kubectl("delete", "deployment", "first", "--wait=false")
        wait_until(lambda: len(puppet.ready_at) == 2)
        assert [] == pods(plane, "first")
