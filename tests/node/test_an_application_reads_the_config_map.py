"""The documented application and the documented Milvus Lite in pods of the real node, as the manifests say.

Everything in docs/apps is applied as it is: the program, the Dockerfile of its image, and both manifests.
"""

import json
from collections.abc import Iterator
from typing import Any, Final

import httpx
import pytest

from rerank_operator.api.conditions import ConditionType
from rerank_operator.api.reasons import Reason
from tests.images.apps import FOLDER
from tests.images.loading import load_apps
from tests.node.conftest import MINUTE, NAMESPACE, Demo, Object

pytestmark = [pytest.mark.node, pytest.mark.timeout(1800)]

# As the documented manifests and the documented program have it.
CONFIG_MAP: Final = "demo-milvus"
MANIFESTS: Final = ("--filename", str(FOLDER / "milvus-lite.yaml"), "--filename", str(FOLDER / "deployment.yaml"))
COLLECTION: Final = "documents"
ANSWERS: Final = {
    "What is the capital of France?": "The capital of France is Paris.",
    "What is the capital of Brazil?": "The capital of Brazil is Brasilia.",
}
LIST_COLLECTIONS: Final = (
    "import json, os, pymilvus",
    "print(json.dumps(pymilvus.MilvusClient(os.environ['MILVUS_ADDRESS']).list_collections()))",
)


@pytest.fixture(scope="module")
def application(demo: Demo) -> Iterator[str]:
    """The address of the application, which runs beside Milvus Lite as long as the tests of this module do."""
    load_apps()
    change_capitals(demo, {"publish": {"configMapName": CONFIG_MAP}})
    demo.wait_until(lambda: demo.cluster.get("configmap", CONFIG_MAP, NAMESPACE), MINUTE)
    demo.kubectl("apply", *MANIFESTS)
    for name in ("milvus", "search"):
        demo.kubectl("rollout", "status", f"deployment/{name}", "--timeout=120s")
    yield f"http://{cluster_ip(demo, 'search')}:8080"
    demo.kubectl("delete", *MANIFESTS)
    change_capitals(demo, {"publish": None, "milvus": None})
    demo.wait_until(lambda: demo.cluster.get("configmap", "capitals-milvus", NAMESPACE), MINUTE)


def test_an_application_gets_reranked_results(application: str) -> None:
    for question, answer in ANSWERS.items():
        found = ask(application, question)
        assert (True, None) == (found["reranked"], found["problem"])
        assert answer == found["results"][0][0]["text"]


def test_each_question_of_one_search_is_reranked_by_itself(application: str) -> None:
    found = ask(application, *ANSWERS)
    assert list(ANSWERS.values()) == [hits[0]["text"] for hits in found["results"]]


def test_the_scores_are_those_of_the_model(demo: Demo, application: str) -> None:
    question = next(iter(ANSWERS))
    (hits,) = ask(application, question)["results"]
    body = {"query": question, "documents": [hit["text"] for hit in hits]}
    address = f"http://{cluster_ip(demo, 'capitals')}:8000/rerank"
    answer = httpx.post(address, json=body, timeout=30, trust_env=False).raise_for_status().json()
    scores = {result["index"]: result["relevance_score"] for result in answer["results"]}
    assert [pytest.approx(scores[place], abs=1e-3) for place in range(len(hits))] == [hit["score"] for hit in hits]


def test_the_operator_sees_a_search_in_that_milvus_reranked_and_leaves_no_collection(
    demo: Demo, application: str
) -> None:
    uri = f"http://milvus.{NAMESPACE}.svc:19530"
    change_capitals(demo, {"milvus": {"connection": {"uri": uri}}})
    demo.wait_until(lambda: milvus_verified(demo)["status"] == "True", 2 * MINUTE)

    seen = milvus_verified(demo)
    assert Reason.MILVUS_VERIFIED.value == seen["reason"]
    assert uri in seen["message"]
    collections = demo.kubectl("exec", "deployment/search", "--", "python", "-c", "\n".join(LIST_COLLECTIONS))
    assert [COLLECTION] == json.loads(collections)


def test_a_server_that_somebody_else_runs_is_verified_and_published_and_nothing_is_deployed(demo: Demo) -> None:
    (capitals,) = json.loads(demo.kubectl("get", "rrs", "--output=json"))["items"]
    endpoint = f"http://capitals.{NAMESPACE}.svc:8000"
    external = {"model": {"name": capitals["spec"]["model"]["name"]}, "external": {"endpoint": endpoint}}
    theirs = {"apiVersion": capitals["apiVersion"], "kind": capitals["kind"], "metadata": {"name": "theirs"}}
    demo.apply({**theirs, "spec": external})
    try:
        demo.wait_until(lambda: demo.ready("theirs")["status"] == "True", 2 * MINUTE)
        published = demo.cluster.get("configmap", "theirs-milvus", NAMESPACE) or {}
        assert endpoint == json.loads(published["data"]["params.json"])["endpoint"]
        made = demo.kubectl(
            "get", "deployments,services,pods", "-l", "rerank-operator.io/reranker=theirs", "-o", "name"
        )
        assert "" == made
    finally:
        demo.kubectl("delete", "rrs", "theirs")


def ask(application: str, *questions: str) -> dict[str, Any]:
    """The application's answer to one search for questions."""
    answer = httpx.get(f"{application}/search", params={"q": questions}, timeout=30, trust_env=False)
    found: dict[str, Any] = answer.raise_for_status().json()
    return found


def change_capitals(demo: Demo, spec: Object) -> None:
    """Change what is published and checked of the demo's reranker; its pod stays as it is."""
    demo.kubectl("patch", "rrs", "capitals", "--type=merge", f"--patch={json.dumps({'spec': spec})}")


def milvus_verified(demo: Demo) -> Object:
    """The condition, or an empty one while there is none."""
    conditions = (demo.cluster.get("rerankservice", "capitals", NAMESPACE) or {})["status"]["conditions"]
    found = (c for c in conditions if c["type"] == ConditionType.MILVUS_VERIFIED.value)
    return next(found, {"status": "", "reason": "", "message": ""})


def cluster_ip(demo: Demo, service: str) -> str:
    """This machine reaches the cluster's addresses, but not its names."""
    return demo.kubectl("get", "service", service, "--output=jsonpath={.spec.clusterIP}")
