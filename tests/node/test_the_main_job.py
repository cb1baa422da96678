"""End to end: a real kubelet, a real vLLM, the operator in a pod installed by Helm, a real Milvus Lite search."""

import json
import threading
import time
from typing import Any

import httpx
import pytest

from rerank_operator.api.reasons import Reason
from tests.node.conftest import NAMESPACE, Demo
from tests.produces import produces

pytestmark = [pytest.mark.node, pytest.mark.timeout(3600)]

FRANCE = {
    "query": "What is the capital of France?",
    "documents": [
        "The capital of Brazil is Brasilia.",
        "The capital of France is Paris.",
        "Horses and cows are both animals",
    ],
}
# What an application does with the ConfigMap: read the endpoint from its environment, ask, and say who won.
APPLICATION = """
import json, os, urllib.request
body = json.dumps({body}).encode()
url, headers = os.environ["RERANK_ENDPOINT"] + "/rerank", {{"Content-Type": "application/json"}}
request = urllib.request.Request(url, body, headers)
results = json.load(urllib.request.urlopen(request, timeout=30))["results"]
print("best", max(results, key=lambda r: r["relevance_score"])["index"], "of", len(results))
"""


def test_the_demo_shows_the_right_answer_on_top_only_with_the_reranker(demo: Demo) -> None:
    assert "capitals" in demo.output
    assert "rank 1" in demo.output
    for command in ("get rrs", "describe rrs capitals", "get configmap"):
        assert command in demo.output


def test_an_application_in_a_pod_reaches_the_published_endpoint_by_its_name(demo: Demo) -> None:
    program = APPLICATION.format(body=json.dumps(FRANCE))
    demo.apply(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "application"},
            "spec": {
                "restartPolicy": "Never",
                "securityContext": {
                    "runAsNonRoot": True,
                    "runAsUser": 1000,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "containers": [
                    {
                        "name": "application",
                        "image": "localhost/vllm-cpu:0.32.0",
                        "imagePullPolicy": "Never",
                        "command": ["python3", "-c", program],
                        "envFrom": [{"configMapRef": {"name": "capitals-milvus"}}],
                        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                    }
                ],
            },
        }
    )
    demo.wait_until(lambda: "Succeeded" == demo.kubectl("get", "pod", "application", "-o", "jsonpath={.status.phase}"))

    assert "best 1 of 3\n" == demo.kubectl("logs", "application")


def test_the_model_pod_was_admitted_at_the_restricted_level(demo: Demo) -> None:
    namespace = demo.cluster.get("namespace", NAMESPACE)
    assert namespace is not None
    assert "restricted" == namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"]
    assert "0" == demo.kubectl(
        "get", "pods", "-l", "rerank-operator.io/reranker=capitals", "-o",
        "jsonpath={.items[0].status.containerStatuses[0].restartCount}",
    )  # fmt: skip


def test_a_restart_of_the_operator_writes_nothing_and_restarts_no_model_pod(demo: Demo) -> None:
    before = demo.versions()
    demo.cluster.kubectl("rollout", "restart", "deployment/rerank-operator", "-n", "rerank-operator-system")
    demo.cluster.kubectl(
        "rollout", "status", "deployment/rerank-operator", "-n", "rerank-operator-system", "--timeout=120s"
    )
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        assert before == demo.versions()
        time.sleep(1)


FAULTS: dict[str, tuple[dict[str, Any], str, str]] = {
    "no-such-folder": (
        {"model": {"name": "nowhere", "source": {"volume": {"claimName": "models", "path": "nowhere"}}}},
        "ModelNotFound",
        "spec.model.source.volume.path",
    ),
    "no-such-image": ({"engine": {"image": "localhost/nowhere:1"}}, "ImagePullFailed", "spec.engine.image"),
    "no-gpu": ({"accelerator": {"type": "NvidiaGPU", "count": 3}}, "AcceleratorMissing", "nvidia.com/gpu"),
    "no-secret": (
        {"model": {"name": "a/b", "source": {"huggingFace": {"tokenSecretRef": {"name": "hf"}}}}},
        "SecretMissing",
        'secret "hf" not found',
    ),
}


@produces(*(Reason(reason) for _, reason, _ in FAULTS.values()), by="node")
def test_kubectl_describe_names_the_fault_and_the_remedy(demo: Demo) -> None:
    capitals = demo.cluster.get("rerankservice", "capitals", NAMESPACE)
    assert capitals is not None
    for name, (spec, _, _) in FAULTS.items():
        demo.apply(
            {
                "apiVersion": capitals["apiVersion"],
                "kind": capitals["kind"],
                "metadata": {"name": name},
                "spec": {**capitals["spec"], **spec},
            }
        )
    for name, (_, reason, seen) in FAULTS.items():
        demo.wait_until(lambda: demo.ready(name)["reason"] == reason)  # noqa: B023 - called in this turn of the loop
        told = demo.kubectl("describe", "rrs", name)
        assert seen in told, told
        assert None is demo.cluster.get("configmap", f"{name}-milvus", NAMESPACE)
    demo.kubectl("delete", "rrs", *FAULTS)


def test_a_request_in_flight_is_answered_while_its_pod_is_shut_down(demo: Demo) -> None:
    (pod,) = json.loads(demo.kubectl("get", "pods", "-l", "rerank-operator.io/reranker=capitals", "-o", "json"))[
        "items"
    ]
    answers: list[int] = []
    asking = threading.Thread(target=lambda: answers.append(rerank(pod["status"]["podIP"], documents=800)))
    asking.start()
    demo.kubectl("delete", "pod", pod["metadata"]["name"], "--wait=false")
    asking.join(timeout=60)

    assert [800] == answers
    demo.wait_until(lambda: demo.ready("capitals")["status"] == "True" and newer_pod_is_ready(demo, pod))


def test_deleting_the_resource_leaves_nothing_behind(demo: Demo) -> None:
    demo.kubectl("delete", "rrs", "--all")

    ours = ("-l", "app.kubernetes.io/managed-by=rerank-operator", "-o", "name")
    demo.wait_until(
        lambda: "" == demo.kubectl("get", "deployments,services,configmaps,controllerrevisions,pods", *ours)
    )


def rerank(pod_ip: str, documents: int) -> int:
    """Ask the pod itself, as a connection that was there before would; returns the number of results."""
    texts = [f"{number} The capital of France is Paris." * 12 for number in range(documents)]
    body = {"query": FRANCE["query"], "documents": texts}
    answer = httpx.post(f"http://{pod_ip}:8000/rerank", json=body, timeout=60, trust_env=False)
    return len(answer.raise_for_status().json()["results"])


def newer_pod_is_ready(demo: Demo, old: dict[str, Any]) -> bool:
    """Whether another pod has taken the place of `old`."""
    pods = json.loads(demo.kubectl("get", "pods", "-l", "rerank-operator.io/reranker=capitals", "-o", "json"))["items"]
    return [True] == [
        any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"]["conditions"])
        for pod in pods
        if pod["metadata"]["uid"] != old["metadata"]["uid"]
    ]
