"""Models of several families on a real node with a real vLLM, served by what the catalog and their own files say.

Their weights are random, so that nobody verifies their ranking; that they answer as their family should is looked at.
"""

import json
from collections.abc import Callable
from typing import Final

import pytest

from rerank_operator.engine.check_model import ENGINE_FILE
from tests.engine.broken_models import ensure_untrained
from tests.engine.tiny_reranker import ensure_model
from tests.node.conftest import Demo, Object
from tests.node.test_faults_are_named import LOOK_SELDOM, MODEL_STARTS_IN, a_spec, apply, the_pod

pytestmark = [pytest.mark.node, pytest.mark.timeout(1800)]

UNVERIFIED: Final[Object] = {"verification": {"mode": "Disabled"}}
DOCUMENTS: Final = ["Paris is the capital of France.", "Horses eat grass."]
# Asks the engine in its own pod as Milvus does, and which limit it serves.
ASK: Final = """
import json, sys, urllib.request
def ask(path, body=None):
    request = urllib.request.Request("http://127.0.0.1:8000" + path, body, {"Content-Type": "application/json"})
    return json.load(urllib.request.urlopen(request, timeout=30))
print(json.dumps({"answer": ask("/rerank", sys.argv[1].encode()), "models": ask("/v1/models")}))
"""


def qwen() -> Object:
    """A reranker that was made from a known one, of which only a language model's files tell."""
    spec = a_spec(ensure_untrained("language-model").name, name="our-qwen", **UNVERIFIED)
    spec["model"] |= {"basedOn": "Qwen/Qwen3-Reranker-0.6B", "maxLength": 1024}
    return spec


FAMILIES: Final[dict[str, tuple[Callable[[], Object], int, int]]] = {
    # What is asked for; tokens that a pair may have; tokens that the prompt adds to a pair at least.
    "bert": (lambda: a_spec(ensure_model().name, **UNVERIFIED), 512, 0),
    "xlm-roberta": (lambda: a_spec(ensure_untrained("xlm-roberta").name, **UNVERIFIED), 128, 0),
    "modernbert": (lambda: a_spec(ensure_untrained("modernbert").name, **UNVERIFIED), 256, 0),
    "qwen3": (qwen, 1024, 60),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_is_served_by_what_its_files_say(demo: Demo, family: str) -> None:
    make, longest, prompt = FAMILIES[family]
    apply(demo, family, make())
    demo.wait_until(lambda: demo.ready(family)["status"] == "True", MODEL_STARTS_IN, LOOK_SELDOM)

    question = json.dumps({"query": "What is the capital of France?", "documents": DOCUMENTS})
    said = json.loads(demo.kubectl("exec", the_pod(demo, family), "--", "python3", "-c", ASK, question))
    results, usage = said["answer"]["results"], said["answer"]["usage"]
    assert {0, 1} == {result["index"] for result in results}
    assert all(0 < result["relevance_score"] < 1 for result in results)
    assert results[0]["relevance_score"] != results[1]["relevance_score"]
    assert longest == said["models"]["data"][0]["max_model_len"]
    assert usage["prompt_tokens"] >= 2 * prompt
    assert (prompt > 0) == (usage["prompt_tokens"] > 100)
    demo.kubectl("delete", "rrs", family)


def test_what_the_files_of_an_unknown_model_say_is_in_its_pod(demo: Demo) -> None:
    pod = the_pod(demo, "capitals")
    said = json.loads(demo.kubectl("exec", pod, "--", "cat", ENGINE_FILE))

    assert {"max-model-len": 512} == said
    assert '{"family": "bert", "warning": ""}' in demo.kubectl("logs", pod, "--container", "check-model")
