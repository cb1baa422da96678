"""A model is fetched from a hub into a cache on the real node; a second pod starts from the cache.

The hub is the double, in a pod of its own: the pods of a reranker reach nothing else.
"""

import inspect
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.cluster.cache import cache_dir
from tests.doubles import hub
from tests.engine.tiny_reranker import ensure_model
from tests.images.engine import REFERENCE
from tests.node.conftest import MINUTE, NAMESPACE, Demo, Object
from tests.node.test_faults_are_named import LOOK_SELDOM, MODEL_STARTS_IN, ONE_FREE_THREAD, apply, the_pod

pytestmark = [pytest.mark.node, pytest.mark.timeout(1800)]

NAME: Final = "fetched"
MODEL: Final = "tests/tiny-reranker"
CLASS: Final = "test-cache"
PORT: Final = 8080
# Serves one model, and prints each request.
SERVE: Final = f"""
import sys, time
from pathlib import Path
from hub import ModelHub, Published
with ModelHub({{"{MODEL}": Published(Path(sys.argv[1]))}}, at=("0.0.0.0", {PORT})) as hub:
    told = 0
    while True:
        for request in hub.asked[told:]:
            print(request, flush=True)
            told += 1
        time.sleep(0.1)
"""
CONFINED: Final = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "runAsUser": 10001,
    "seccompProfile": {"type": "RuntimeDefault"},
}


@pytest.fixture
def hub_address(demo: Demo) -> Iterator[str]:
    """Address of a hub in a pod of the demo's namespace."""
    files = {"hub.py": inspect.getsource(hub), "serve.py": SERVE}
    demo.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "hub"}, "data": files})
    container = {
        "name": "hub",
        "image": REFERENCE,
        "imagePullPolicy": "Never",
        "command": ["python3", "/hub/serve.py", f"/models/{ensure_model().name}"],
        "securityContext": CONFINED,
        "volumeMounts": [{"name": "hub", "mountPath": "/hub"}, {"name": "models", "mountPath": "/models"}],
    }
    volumes = [
        {"name": "hub", "configMap": {"name": "hub"}},
        {"name": "models", "persistentVolumeClaim": {"claimName": "models", "readOnly": True}},
    ]
    spec = {"containers": [container], "volumes": volumes, "terminationGracePeriodSeconds": 0}
    demo.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "hub"}, "spec": spec})
    demo.kubectl("wait", "pod/hub", "--for=condition=Ready", "--timeout=60s")
    yield f"http://{demo.kubectl('get', 'pod', 'hub', '--output=jsonpath={.status.podIP}')}:{PORT}"
    demo.kubectl("delete", "pod/hub", "configmap/hub")


@pytest.fixture
def volume(demo: Demo) -> Iterator[Path]:
    """A folder of the node, for the claim that the operator will create."""
    folder = cache_dir() / "test-cache"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)  # whatever the umask is
    spec = {
        "capacity": {"storage": "1Gi"},
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": CLASS,
        "persistentVolumeReclaimPolicy": "Retain",
        "hostPath": {"path": str(folder), "type": "Directory"},
        "claimRef": {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "name": f"{NAME}-models",
            "namespace": NAMESPACE,
        },
    }
    demo.apply({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": CLASS}, "spec": spec})
    yield folder
    demo.kubectl("delete", "rrs", NAME, "--ignore-not-found")  # a volume in use would stay
    demo.cluster.kubectl("delete", "persistentvolume", CLASS)
    shutil.rmtree(folder)


def fetched_from(address: str) -> Object:
    """A reranker whose model is fetched, and kept on a claim that is created."""
    cache = {"size": "1Gi", "storageClassName": CLASS}
    return {
        "model": {"name": MODEL, "source": {"huggingFace": {"endpoint": address, "cache": cache}}},
        "accelerator": {"type": "CPU"},
        "engine": {"image": REFERENCE, "imagePullPolicy": "Never", "env": list(ONE_FREE_THREAD)},
        "resources": {"requests": {"cpu": "100m", "memory": "1Gi"}, "limits": {"memory": "4Gi"}},
    }


def test_a_model_is_fetched_once_and_the_next_pod_starts_from_the_cache(
    demo: Demo, hub_address: str, volume: Path
) -> None:
    apply(demo, NAME, fetched_from(hub_address))
    demo.wait_until(lambda: demo.ready(NAME)["status"] == "True", MODEL_STARTS_IN, LOOK_SELDOM)

    first = the_pod(demo, NAME)
    assert "downloaded " in demo.kubectl("logs", first, "--container", "fetch-model")
    complete = volume / MODEL / "main" / ".rerank-operator-complete"
    assert hub.COMMIT == json.loads(complete.read_text())["commit"]
    asked = demo.kubectl("logs", "hub")
    assert f"GET /{MODEL}/resolve/{hub.COMMIT}/model.safetensors" in asked

    demo.kubectl("delete", "pod", first)
    demo.wait_until(lambda: the_pod(demo, NAME) not in ("", first), MINUTE)
    demo.wait_until(lambda: demo.ready(NAME)["status"] == "True", MODEL_STARTS_IN, LOOK_SELDOM)
    assert f"{MODEL} is in /models/" in demo.kubectl("logs", the_pod(demo, NAME), "--container", "fetch-model")
    assert asked == demo.kubectl("logs", "hub")

    demo.kubectl("delete", "rrs", NAME)
    demo.wait_until(lambda: demo.cluster.get("persistentvolumeclaim", f"{NAME}-models", NAMESPACE) is None, MINUTE)
