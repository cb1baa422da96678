"""What somebody on call sees: doctor and watch on a real API server, by themselves and through a real kubectl."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from rerank_operator.api.meanings import MEANINGS
from rerank_operator.api.reasons import Reason
from tests.cluster.binaries import binary
from tests.cluster.control_plane import ControlPlane
from tests.contract.generate import CRD_FILE
from tests.doubles.pod_status import image_pull_back_off, never_ready
from tests.functional.world import World, a_reranker, running_world

SCRIPTS = Path(sys.executable).parent
SECONDS = 60.0
Run = tuple[int, str, str]


def environment(kubeconfig: Path) -> dict[str, str]:
    path = f"{SCRIPTS}:{os.environ['PATH']}"
    return {"PATH": path, "HOME": str(kubeconfig.parent), "KUBECONFIG": str(kubeconfig)}


def run(kubeconfig: Path, *command: str) -> Run:
    done = subprocess.run(
        command, env=environment(kubeconfig), capture_output=True, text=True, timeout=SECONDS, check=False
    )
    return done.returncode, done.stdout, done.stderr


def on(world: World, command: str, *arguments: str) -> Run:
    """Ask about the reranker `bge` of the world."""
    kubeconfig = world.control_plane.kubeconfig
    return run(kubeconfig, "rerank-operator", command, "bge", "--namespace", world.namespace, *arguments)


@contextmanager
def watching(world: World, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """`watch` as a process, from its first line on."""
    command = ["rerank-operator", "watch", "bge", "--namespace", world.namespace, *arguments]
    kubeconfig = world.control_plane.kubeconfig
    with subprocess.Popen(command, env=environment(kubeconfig), stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def next_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def a_kubeconfig_of(control_plane: ControlPlane, namespace: str, account: str, folder: Path) -> Path:
    """How a service account of the namespace reaches the API server; its context names the namespace."""
    control_plane.kubectl("create", "serviceaccount", account, "--namespace", namespace)
    token = control_plane.kubectl("create", "token", account, "--namespace", namespace).strip()
    config: dict[str, Any] = yaml.safe_load(control_plane.kubeconfig.read_text())
    cluster = config["clusters"][0]["cluster"]
    if "certificate-authority" in cluster:
        cluster["certificate-authority"] = str(control_plane.folder / cluster["certificate-authority"])
    config["users"] = [{"name": account, "user": {"token": token}}]
    context = {"cluster": config["clusters"][0]["name"], "user": account, "namespace": namespace}
    config["contexts"] = [{"name": account, "context": context}]
    config["current-context"] = account
    file = folder / f"{account}.kubeconfig"
    file.write_text(yaml.safe_dump(config))
    return file


def test_doctor_and_watch_find_a_ready_reranker_ready(world: World) -> None:
    world.reranker()
    world.wait_for_reason("Ready")
    code, out, err = on(world, "doctor")

    assert (0, "") == (code, err)
    assert out.startswith(f"Ready: reranker bge in namespace {world.namespace} is ready\n")
    assert f"http://bge.{world.namespace}.svc:8000, ConfigMap bge-milvus" in out
    pod = world.objects("pods")[0]["metadata"]["name"]
    assert [pod, "yes", "Running", "0"] == out.split("\nPods\n")[1].splitlines()[1].split()[:4]
    code, out, _ = on(world, "watch")

    assert 0 == code
    assert "Ready after " in out.splitlines()[-1]


def test_doctor_and_watch_name_an_image_that_cannot_be_pulled(world: World) -> None:
    world.misbehave("model-a", image_pull_back_off())
    world.reranker()
    world.wait_for_reason("ImagePullFailed")
    code, out, err = on(world, "doctor")

    assert (1, "") == (code, err)
    remedy = MEANINGS[Reason.IMAGE_PULL_FAILED].remedy
    assert f"ImagePullFailed: reranker bge in namespace {world.namespace} is not ready" == out.splitlines()[0]
    assert f"  remedy  {remedy}" in out
    assert "ImagePullBackOff" in out
    assert "RerankService/bge  ImagePullFailed: " in out
    code, out, _ = on(world, "watch", "--output", "json")
    last = json.loads(out.splitlines()[-1])

    assert 1 == code
    assert ("Stalled", "ImagePullFailed", remedy) == (last["outcome"], last["reason"], last["remedy"])


def test_doctor_says_in_json_what_it_says_in_words(world: World) -> None:
    world.misbehave("model-a", image_pull_back_off())
    world.reranker()
    world.wait_for_reason("ImagePullFailed")
    code, out, _ = on(world, "doctor", "--output", "json")
    report = json.loads(out)

    assert 1 == code
    assert (False, "ImagePullFailed") == (report["ready"], report["reason"])
    assert report["generation"] == report["observedGeneration"]
    assert {"Accepted", "EngineAvailable", "Ready", "Stalled"} <= {c["type"] for c in report["conditions"]}
    assert [("Pending", False, "ImagePullBackOff")] == [(p["phase"], p["ready"], p["state"]) for p in report["pods"]]
    assert "ImagePullFailed" == report["podFault"]["reason"]
    assert "ImagePullFailed" in [event["reason"] for event in report["events"]]
    assert [] == report["unreadable"]


def test_the_pods_tell_when_the_operator_is_away(world: World) -> None:
    world.misbehave("model-a", never_ready())
    world.reranker()
    world.wait_for_reason("EngineStarting")
    world.operator.stop()
    world.misbehave("model-a", image_pull_back_off())
    world.wait_until(lambda: "ImagePullBackOff" in world.kubectl("get", "pods"))
    code, out, _ = on(world, "doctor")
    world.operator.start()

    assert 1 == code
    assert out.startswith("ImagePullFailed: ")


def test_watch_goes_on_until_the_model_is_up(world: World) -> None:
    world.misbehave("model-a", never_ready())
    world.reranker()
    world.wait_for_reason("EngineStarting")
    with watching(world) as process:
        first = next_line(process)
        world.misbehave("model-a", None)
        out, _ = process.communicate(timeout=SECONDS)

    assert "EngineStarting" in first
    assert 0 == process.returncode
    assert f"http://bge.{world.namespace}.svc:8000, ConfigMap bge-milvus" in out.splitlines()[-1]


def test_watch_ends_when_the_reranker_is_deleted(world: World) -> None:
    world.misbehave("model-a", never_ready())
    world.reranker()
    with watching(world, "-o", "json") as process:
        next_line(process)
        world.kubectl("delete", "rrs", "bge")
        out, _ = process.communicate(timeout=SECONDS)

    assert 1 == process.returncode
    assert "Deleted" == json.loads(out.splitlines()[-1])["outcome"]


def test_watch_gives_up_after_its_time_and_says_where_it_stands(world: World) -> None:
    world.misbehave("model-a", never_ready())
    world.reranker()
    world.wait_for_reason("EngineStarting")
    code, out, _ = on(world, "watch", "--timeout", "1")

    assert 3 == code
    assert "Timeout after 1s: EngineStarting" in out
    assert f"  more    rerank-operator doctor bge --namespace {world.namespace}" == out.splitlines()[-1]


def test_a_change_of_the_spec_is_not_ready_before_the_operator_has_seen_it(world: World) -> None:
    world.reranker()
    world.wait_for_reason("Ready")
    world.operator.stop()
    world.reranker(model="model-b")
    code, out, _ = on(world, "watch", "--timeout", "1")
    doctor, told, _ = on(world, "doctor")
    world.operator.start()

    assert (3, 1) == (code, doctor)
    assert "Timeout after 1s: Pending" in out
    assert "The status describes generation 1 of the spec, which is at 2." in told


def test_watch_outlives_an_api_server_that_restarts(tmp_path: Path) -> None:
    with ControlPlane(manifests=[CRD_FILE]) as control_plane, running_world(control_plane, tmp_path) as world:
        world.misbehave("model-a", never_ready())
        world.reranker()
        world.wait_for_reason("EngineStarting")
        with watching(world) as process:
            assert "EngineStarting" in next_line(process)
            control_plane.restart_api()
            world.misbehave("model-a", None)
            out, _ = process.communicate(timeout=SECONDS)

    assert 0 == process.returncode
    assert "Ready after " in out.splitlines()[-1]


def test_an_interrupted_watch_says_nothing_more(world: World) -> None:
    world.misbehave("model-a", never_ready())
    world.reranker()
    with watching(world) as process:
        next_line(process)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=SECONDS)

    assert (130, "") == (process.returncode, out)


@pytest.mark.parametrize("command", ["doctor", "watch"])
def test_a_reranker_that_does_not_exist_is_told_with_those_that_do(
    control_plane: ControlPlane, namespace: str, command: str
) -> None:
    control_plane.kubectl(
        "apply", "--namespace", namespace, "-f", "-", stdin=json.dumps(a_reranker("other", "model-a"))
    )
    code, out, err = run(control_plane.kubeconfig, "rerank-operator", command, "bge", "-n", namespace)

    assert (2, "") == (code, out)
    assert f"RerankService 'bge' does not exist in namespace '{namespace}'. There are: other.\n" == err


@pytest.mark.parametrize("command", ["doctor", "watch"])
def test_a_missing_right_is_named_and_the_namespace_is_that_of_the_context(
    control_plane: ControlPlane, namespace: str, tmp_path: Path, command: str
) -> None:
    kubeconfig = a_kubeconfig_of(control_plane, namespace, "nobody", tmp_path)
    code, out, err = run(kubeconfig, "rerank-operator", command, "bge")

    assert (2, "") == (code, out)
    assert (
        f"system:serviceaccount:{namespace}:nobody may not get rerankservices.rerank-operator.io in namespace "
        f"{namespace}. "
    ) in err


def test_who_may_only_read_the_resource_still_gets_the_verdict(world: World, tmp_path: Path) -> None:
    world.reranker()
    world.wait_for_reason("Ready")
    kubeconfig = a_kubeconfig_of(world.control_plane, world.namespace, "reader", tmp_path)
    world.kubectl("create", "role", "reader", "--verb=get", "--resource=rerankservices.rerank-operator.io")
    world.kubectl("create", "rolebinding", "reader", "--role=reader", f"--serviceaccount={world.namespace}:reader")
    code, out, err = run(kubeconfig, "rerank-operator", "doctor", "bge")

    assert (0, "") == (code, err)
    user = f"system:serviceaccount:{world.namespace}:reader"
    unread = out.split("Not read\n")[1]
    assert [
        f"  {user} may not list {resource} in namespace {world.namespace}"
        for resource in ("pods", "deployments.apps", "events")
    ] == unread.splitlines()


def test_without_a_cluster_the_remedy_is_named(tmp_path: Path) -> None:
    cluster = {"name": "gone", "cluster": {"server": "http://127.0.0.1:1"}}
    context = {"name": "gone", "context": {"cluster": "gone", "user": "me"}}
    config = {"clusters": [cluster], "users": [{"name": "me", "user": {}}], "contexts": [context]}
    file = tmp_path / "config"
    file.write_text(yaml.safe_dump({**config, "current-context": "gone"}))
    code, out, err = run(file, "rerank-operator", "doctor", "bge")

    assert (2, "") == (code, out)
    assert "Check --kubeconfig and --context, and that kubectl reaches the cluster" in err
    assert "Traceback" not in err


def test_kubectl_finds_the_plugin(world: World) -> None:
    world.reranker()
    world.wait_for_reason("Ready")
    kubectl, kubeconfig = str(binary("kubectl")), world.control_plane.kubeconfig
    code, out, err = run(kubeconfig, kubectl, "rerank", "doctor", "bge", "-n", world.namespace)
    _, help_text, _ = run(kubeconfig, kubectl, "rerank", "watch", "--help")

    assert (0, "") == (code, err)
    assert out.startswith(f"Ready: reranker bge in namespace {world.namespace} is ready\n")
    assert "Usage: kubectl rerank watch " in help_text
    assert "Example: kubectl rerank watch bge" in help_text
