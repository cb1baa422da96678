"""The documented application and the documented Milvus Lite in pods of the real node, as the manifests say.

Everything in docs/apps is applied as it is: the program, its image's Dockerfile, and both manifests.
"""

import json
from collections.abc import Iterator
from typing import Any, Final

import httpx
import pytest

from tests.demo.documents import QUESTION, questions
from tests.images.apps import FOLDER
from tests.images.loading import load_apps
from tests.node.conftest import MINUTE, NAMESPACE, Demo, Object

pytestmark = [pytest.mark.node, pytest.mark.timeout(1800)]

# As the documented manifests name them.
CONFIG_MAP: Final = "demo-milvus"
MANIFESTS: Final = ("milvus-lite.yaml", "deployment.yaml")
COLLECTION: Final = "documents"
MILVUS: Final = f"http://milvus.{NAMESPACE}.svc:19530"
LIST_COLLECTIONS: Final = (
    "import json, pymilvus; print(json.dumps(pymilvus.MilvusClient('http://milvus:19530').list_collections()))"
)


@pytest.fixture(scope="module")
def application(demo: Demo) -> Iterator[str]:
    """The address of the application, which runs beside Milvus Lite for as long as the tests of this module."""
    load_apps()
    change_capitals(demo, {"publish": {"configMapName": CONFIG_MAP}})
    demo.wait_until(lambda: demo.cluster.get("configmap", CONFIG_MAP, NAMESPACE), MINUTE)
    for manifest in MANIFESTS:
        demo.kubectl("apply", "--filename", str(FOLDER / manifest))
    for name in ("milvus", "search"):
        demo.kubectl("rollout", "status", f"deployment/{name}", "--timeout=120s")
    yield f"http://{cluster_ip(demo, 'search')}:8080"
    for manifest in MANIFESTS:
        demo.kubectl("delete", "--filename", str(FOLDER / manifest), "--wait=false")
    change_capitals(demo, {"publish": None, "milvus": None})
    demo.wait_until(lambda: demo.cluster.get("configmap", "capitals-milvus", NAMESPACE), MINUTE)


def change_capitals(demo: Demo, spec: Object) -> None:
    """Merge into the spec of the demo's reranker; nothing here touches its pod."""
    demo.kubectl("patch", "rrs", "capitals", "--type=merge", f"--patch={json.dumps({'spec': spec})}")


def cluster_ip(demo: Demo, service: str) -> str:
    """This machine reaches the cluster's addresses, but not its names."""
    return demo.kubectl("get", "service", service, "--output=jsonpath={.spec.clusterIP}")
