"""Real causes on a real node: what a person is told when a real kubelet and a real vLLM fail."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from rerank_operator.api.meanings import MEANINGS
from rerank_operator.api.reasons import Reason
from tests.cluster import node
from tests.engine.broken_models import break_model
from tests.engine.build_once import build_once
from tests.engine.tiny_reranker import ensure_broken_models, ensure_model
from tests.images.engine import REFERENCE
from tests.node.conftest import MINUTE, NAMESPACE, Demo, Object
from tests.produces import produces

pytestmark = [pytest.mark.node, pytest.mark.timeout(1800)]

# Two engines whose threads are bound to the same two cores wait for each other's in busy loops.
ONE_FREE_THREAD: Final = (
    {"name": "OMP_NUM_THREADS", "value": "1"},
    {"name": "VLLM_CPU_OMP_THREADS_BIND", "value": "nobind"},
)
LOOK_SELDOM: Final = 2.0
MODEL_STARTS_IN: Final = 10 * MINUTE
# Sends a signal to the process of that name in the engine's own pod.
SIGNAL: Final = """
import os, signal, sys
for pid in filter(str.isdigit, os.listdir("/proc")):
    with open(f"/proc/{pid}/cmdline") as file:
        if file.read().startswith("VLLM::EngineCore"):
            os.kill(int(pid), signal.Signals[sys.argv[1]])
            print("sent to", pid)
"""


def a_spec(path: str, name: str = "m", **spec: Any) -> Object:
    """A reranker of a model folder on the demo's volume."""
    engine = {"image": REFERENCE, "imagePullPolicy": "Never", "env": list(ONE_FREE_THREAD), **spec.pop("engine", {})}
    return {
        "model": {"name": name, "source": {"volume": {"claimName": "models", "path": path}}},
        "accelerator": {"type": "CPU"},
        "engine": engine,
        "resources": {"requests": {"cpu": "100m", "memory": "1Gi"}, "limits": {"memory": "4Gi"}},
        **spec,
    }


def the_model(**spec: Any) -> Object:
    """A reranker of the model that works."""
    return a_spec(ensure_model().name, **spec)


def broken(how: str) -> Object:
    """A reranker of a copy of the model that is broken in one way."""
    model = ensure_model()
    folder = build_once(model.parent / f"{how}-{model.name}", lambda out: break_into(model, how, out))
    return a_spec(f"{folder.name}/{how}")


def break_into(model: Path, how: str, out: Path) -> None:
    """Break a copy of a model in a new folder."""
    out.mkdir(parents=True)
    break_model(model, how, out)


def crowded(what: str) -> Object:
    """Requests that no node can meet."""
    return {"requests": {"cpu": what, "memory": "1Gi"}, "limits": {"memory": "4Gi"}}


def nothing_starts() -> dict[Reason, tuple[Object, str]]:
    """Specs of which no engine ever starts, and what must be seen."""
    nowhere = {"name": "m", "source": {"volume": {"claimName": "nowhere", "path": "m"}}}
    return {
        Reason.UNSCHEDULABLE: (the_model(resources=crowded("200")), "cpu"),
        Reason.VOLUME_UNBOUND: ({**the_model(), "model": nowhere}, "nowhere"),
        Reason.POD_SECURITY_FORBIDDEN: (the_model(podTemplate={"spec": {"hostNetwork": True}}), "hostNetwork"),
        Reason.SECRET_MISSING: (the_model(access={"bearerSecretRef": {"name": "nobody"}}), "nobody"),
    }


def engines_end() -> dict[Reason, tuple[Object, str]]:
    """Specs that start a real vLLM, which ends for this reason."""
    little = {"requests": {"cpu": "100m", "memory": "200Mi"}, "limits": {"memory": "200Mi"}}
    return {
        Reason.BAD_ENGINE_ARGUMENT: (the_model(engine={"args": ["--no-such-flag"]}), "--no-such-flag"),
        Reason.OUT_OF_MEMORY: (the_model(resources=little), "memory"),
        # The kubelet keeps only the end of the log, which does not tell; the operator reads the rest.
        Reason.MODEL_UNREADABLE: (broken("cut-weights"), "SafetensorError"),
        Reason.UNSUPPORTED_ARCHITECTURE: (broken("unknown-architecture"), "DebertaV2ForSequenceClassification"),
    }


@produces(Reason.UNSCHEDULABLE, Reason.VOLUME_UNBOUND, Reason.POD_SECURITY_FORBIDDEN, Reason.SECRET_MISSING, by="node")
def test_what_keeps_a_pod_from_starting_is_named(demo: Demo) -> None:
    cases = nothing_starts()
    for reason, (spec, _) in cases.items():
        apply(demo, named(reason), spec)
    for reason, (_, seen) in cases.items():
        assert_named(demo, reason, seen)
    demo.kubectl("delete", "rrs", *map(named, cases))


@produces(
    Reason.BAD_ENGINE_ARGUMENT,
    Reason.OUT_OF_MEMORY,
    Reason.MODEL_UNREADABLE,
    Reason.UNSUPPORTED_ARCHITECTURE,
    by="node",
)
def test_why_an_engine_ends_is_named(demo: Demo) -> None:
    for reason, (spec, seen) in engines_end().items():
        # One after another: each wants both processors.
        apply(demo, named(reason), spec)
        assert_named(demo, reason, seen, seconds=MODEL_STARTS_IN)
        demo.kubectl("delete", "rrs", named(reason))


@produces(Reason.NOT_A_RERANKER, by="node")
def test_a_classifier_with_two_labels_is_named_and_never_published(demo: Demo) -> None:
    apply(demo, "two-labels", a_spec(ensure_broken_models()["two-labels"].name))

    assert_named(demo, Reason.NOT_A_RERANKER, "2 labels", "two-labels")
    demo.kubectl("delete", "rrs", "two-labels")


@pytest.fixture
def serving(demo: Demo) -> Iterator[str]:
    """Name of a reranker that serves, is asked every ten seconds, and whose wrong pods are restarted soon."""
    name = "watched"
    often = {"intervalSeconds": 10, "timeoutSeconds": 3, "failureThreshold": 4}
    apply(demo, name, the_model(name="watched", verification=often))
    demo.wait_until(lambda: demo.ready(name)["status"] == "True", MODEL_STARTS_IN, LOOK_SELDOM)
    yield name
    demo.kubectl("delete", "rrs", name)


@produces(Reason.ENGINE_UNRESPONSIVE, by="node")
def test_a_frozen_engine_is_named_stays_published_and_is_restarted(demo: Demo, serving: str) -> None:
    pod, published = the_pod(demo, serving), demo.cluster.get("configmap", f"{serving}-milvus", NAMESPACE)
    signal_engine_core(demo, pod, "SIGSTOP")

    assert_named(demo, Reason.ENGINE_UNRESPONSIVE, "", serving, 60, published=True)
    assert "200" == demo.kubectl("exec", pod, "--", "python3", "-c", HEALTH).strip()
    assert published == demo.cluster.get("configmap", f"{serving}-milvus", NAMESPACE)

    demo.wait_until(lambda: the_pod(demo, serving) not in ("", pod), 3 * MINUTE, LOOK_SELDOM)
    demo.wait_until(lambda: demo.ready(serving)["status"] == "True", MODEL_STARTS_IN, LOOK_SELDOM)
    assert "RestartingPod" in demo.kubectl("describe", "rrs", serving)


HEALTH: Final = "import urllib.request; print(urllib.request.urlopen('http://127.0.0.1:8000/health', timeout=5).status)"


@produces(Reason.CRASH_LOOPING, by="node")
def test_a_killed_engine_core_is_named_although_the_process_ends_with_exit_code_0(demo: Demo, serving: str) -> None:
    signal_engine_core(demo, the_pod(demo, serving), "SIGKILL")

    assert_named(demo, Reason.CRASH_LOOPING, "exit code 0", serving, MINUTE, published=True)
    demo.wait_until(lambda: demo.ready(serving)["status"] == "True", MODEL_STARTS_IN, LOOK_SELDOM)


@produces(Reason.NODE_LOST, by="node")
def test_a_lost_node_is_named_and_comes_back(demo: Demo, serving: str) -> None:
    with stopped_kubelet():
        assert_named(demo, Reason.NODE_LOST, "", serving, 3 * MINUTE, published=True)
    demo.wait_until(lambda: demo.ready(serving)["status"] == "True", 3 * MINUTE, LOOK_SELDOM)


def named(reason: Reason) -> str:
    """Name of the reranker of a case."""
    return reason.value.lower()


def apply(demo: Demo, name: str, spec: Object) -> None:
    """Apply a reranker."""
    kind = {"apiVersion": "rerank-operator.io/v1alpha1", "kind": "RerankService"}
    demo.apply({**kind, "metadata": {"name": name}, "spec": spec})


def assert_named(
    demo: Demo, reason: Reason, seen: str, name: str = "", seconds: float = MINUTE, *, published: bool = False
) -> None:
    """Wait until the reason is told, with what was seen and the remedy, and nothing false is published."""
    name = name or named(reason)
    demo.wait_until(lambda: demo.ready(name)["reason"] == reason.value, seconds, 0.5)
    ready = demo.ready(name)
    assert "False" == ready["status"]
    assert seen in ready["message"], ready
    assert ready["message"].endswith(MEANINGS[reason].remedy), ready
    assert published == (demo.cluster.get("configmap", f"{name}-milvus", NAMESPACE) is not None)


def the_pod(demo: Demo, name: str) -> str:
    """Name of the one pod of a reranker that is not on its way out; empty while there is none."""
    chosen = ("--selector", f"rerank-operator.io/reranker={name}", "--output", "json")
    pods = json.loads(demo.kubectl("get", "pods", *chosen))["items"]
    names = [pod["metadata"]["name"] for pod in pods if "deletionTimestamp" not in pod["metadata"]]
    return names[0] if names else ""


def signal_engine_core(demo: Demo, pod: str, signal: str) -> None:
    """Send a signal to the engine's core, as a fault of it would stop it."""
    assert "sent to" in demo.kubectl("exec", pod, "--", "python3", "-c", SIGNAL, signal)


@contextmanager
def stopped_kubelet() -> Iterator[None]:
    """Freeze the kubelet of the node: the API server hears nothing from it any more."""
    running = node.running()
    assert running is not None
    running.run("pkill", "-STOP", "-x", "kubelet")
    try:
        yield
    finally:
        running.run("pkill", "-CONT", "-x", "kubelet")
