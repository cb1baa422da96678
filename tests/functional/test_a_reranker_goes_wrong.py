"""A reranker that was right and goes wrong: it says so, keeps its publication, and its pods are restarted with care."""

import time
from typing import Any

import pytest

from rerank_operator.api.meanings import MEANINGS
from rerank_operator.api.reasons import Reason
from tests.doubles import pod_status
from tests.functional.world import World
from tests.produces import produces

# The shortest interval that the API allows.
OFTEN: dict[str, Any] = {"intervalSeconds": 10, "timeoutSeconds": 1}
REPORT = {**OFTEN, "onFailure": "Report"}

GOES_WRONG = {
    "constant-scores": Reason.SCORES_CONSTANT,
    "wrong-order": Reason.RANKING_WRONG,
    "half-scores": Reason.TEMPLATE_MISSING,
    "nan-score": Reason.NON_FINITE_SCORES,
    "missing-result": Reason.INCOMPLETE_SCORES,
    "no-rerank-route": Reason.NOT_A_RERANKER,
    "engine-dead": Reason.ENGINE_ERROR,
    "hang": Reason.ENGINE_UNRESPONSIVE,
}


def pod_names(world: World) -> set[str]:
    return {pod["metadata"]["name"] for pod in world.objects("pods") if "deletionTimestamp" not in pod["metadata"]}


@produces(*GOES_WRONG.values(), by="double")
def test_each_fault_of_a_serving_engine_is_named_within_an_interval_and_the_publication_stays(world: World) -> None:
    for number in range(len(GOES_WRONG)):
        world.reranker(name=f"bge-{number}", model=f"model-{number}", verification=REPORT)
    for number in range(len(GOES_WRONG)):
        world.wait_for_reason("Ready", name=f"bge-{number}", seconds=60)
    before = {number: world.get("configmap", f"bge-{number}-milvus") for number in range(len(GOES_WRONG))}
    pods = pod_names(world)

    for number, mode in enumerate(GOES_WRONG):
        world.engine(f"model-{number}").mode = mode
    since = time.monotonic()
    for number, (mode, reason) in enumerate(GOES_WRONG.items()):
        ready = world.wait_for_reason(reason.value, name=f"bge-{number}", seconds=40)
        assert MEANINGS[reason].remedy in ready["message"], mode
        assert "False" == ready["status"]
        assert before[number] == world.get("configmap", f"bge-{number}-milvus"), mode
    assert time.monotonic() - since < OFTEN["intervalSeconds"] + 10
    assert pods == pod_names(world)

    for number in range(len(GOES_WRONG)):
        world.engine(f"model-{number}").mode = "right"
    for number in range(len(GOES_WRONG)):
        world.wait_for_reason("Ready", name=f"bge-{number}", seconds=40)


def test_a_pod_that_stays_wrong_is_restarted_once_and_then_left_alone_for_a_while(world: World) -> None:
    world.reranker(replicas=2, verification=OFTEN)
    world.wait_for_reason("Ready")
    before = pod_names(world)

    world.engine("model-a").mode = "constant-scores"
    world.wait_for_reason("ScoresConstant", seconds=30)
    world.wait_until(lambda: len(pod_names(world) - before) == 1, seconds=40)

    events = world.kubectl("get", "events", "--field-selector=reason=RestartingPod", "--output=json")
    assert "went wrong (ScoresConstant)" in events
    after = pod_names(world)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        assert after == pod_names(world)
        time.sleep(0.5)

    world.engine("model-a").mode = "right"
    world.wait_for_reason("Ready", seconds=90)


@produces(Reason.VERIFICATION_DISABLED, by="double")
def test_whoever_switches_verification_off_is_told_that_nobody_verified(world: World) -> None:
    world.engine("model-a").mode = "wrong-order"
    world.reranker(verification={"mode": "Disabled"})

    assert "nobody verified" in world.wait_for_reason("Ready")["message"]
    assert "VerificationDisabled" == world.conditions()["RerankVerified"]["reason"]
    assert world.get("configmap", "bge-milvus") is not None

    world.reranker(verification={"mode": "Enabled"})
    world.wait_for_reason("RankingWrong")


@produces(Reason.NOT_A_RERANKER, by="double")
def test_a_healthy_engine_without_the_route_is_named_although_it_never_becomes_ready(world: World) -> None:
    world.engine("model-a").mode = "no-rerank-route"
    world.misbehave("model-a", pod_status.never_ready())
    world.reranker()

    assert "404" in world.wait_for_reason("NotAReranker", seconds=40)["message"]
    assert "True" == world.conditions()["Stalled"]["status"]
    assert world.get("configmap", "bge-milvus") is None


def test_own_cases_are_asked_in_place_of_the_shipped_ones(world: World) -> None:
    case = {"query": "refund policy", "documents": ["We ship on Mondays.", "The refund policy is fair."], "best": 1}
    world.reranker(verification={"cases": [case]})
    world.wait_for_reason("Ready")

    asked = [request.body for request in world.engine("model-a").requests if request.body]
    # An overlong document and a large batch say nothing about ranking, so they are always the same.
    assert {"refund policy"} == {body["query"] for body in asked if "truncate_prompt_tokens" not in body}


def test_the_status_shows_what_was_measured_and_does_not_churn(world: World) -> None:
    world.reranker(verification=OFTEN)
    world.wait_for_reason("Ready")
    told = (world.get("rerankservice", "bge") or {})["status"]["verification"]

    assert ("ZeroToOne", "Truncated") == (told["scoreScale"], told["overlongDocuments"])
    (pod,) = told["pods"]
    assert ("RerankVerified", True) == (pod["reason"], pod["latencyMilliseconds"] >= 1)
    asked = len(world.engine("model-a").requests)
    version = (world.get("rerankservice", "bge") or {})["metadata"]["resourceVersion"]
    world.wait_until(lambda: len(world.engine("model-a").requests) >= asked + 6, seconds=40)
    assert version == (world.get("rerankservice", "bge") or {})["metadata"]["resourceVersion"]


@pytest.mark.parametrize("behaviour", [pod_status.never_ready()])
def test_a_model_that_loads_says_since_when(world: World, behaviour: pod_status.Behaviour) -> None:
    world.misbehave("model-a", behaviour)
    world.engine("model-a").mode = "connection-refused"
    world.reranker()

    def progress() -> dict[str, Any]:
        found: dict[str, Any] = (world.get("rerankservice", "bge") or {}).get("status", {}).get("progress", {})
        return found

    world.wait_until(lambda: progress().get("step") == "Starting", seconds=40)
    first = progress()["since"]
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        assert first == progress()["since"]
        time.sleep(0.5)
