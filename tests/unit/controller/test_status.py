"""What a person is told."""

import dataclasses
import json

import pytest

from rerank_operator.api import names
from rerank_operator.api.conditions import WHERE_IT_APPLIES, ConditionType
from rerank_operator.api.meanings import MEANINGS
from rerank_operator.api.reasons import Reason
from rerank_operator.controller.pods import Pod, Said
from rerank_operator.controller.status import build_status, judge_conditions
from rerank_operator.controller.values import Observed
from tests.builders import (
    AT,
    NOW,
    a_pod,
    a_resource,
    changed,
    deployed,
    hash_of,
    observed,
    serving,
    with_candidate,
    wrong,
)
from tests.doubles.pod_status import NO_GPU_LEFT

OTHER = {"model": {"name": "BAAI/bge-reranker-base"}}

FOR_TOOLS = {ConditionType.PROGRESSING, ConditionType.STALLED}
ALWAYS = [kind for kind in ConditionType if kind not in WHERE_IT_APPLIES]


def told(seen: Observed) -> dict[str, tuple[str, str]]:
    """Status and reason of each condition that a reranker passes."""
    return {c.type.value: (c.status, c.reason.value) for c in judge_conditions(seen) if c.type not in FOR_TOOLS}


def message(seen: Observed) -> str:
    return next(c.message for c in judge_conditions(seen) if c.type is ConditionType.READY)


def test_a_serving_reranker_is_ready_in_every_respect() -> None:
    assert {
        "Accepted": ("True", "Accepted"),
        "EngineAvailable": ("True", "EngineAvailable"),
        "RerankVerified": ("True", "RerankVerified"),
        "ConfigPublished": ("True", "ConfigPublished"),
        "Ready": ("True", "Ready"),
    } == told(serving())


def test_a_reranker_without_pods_is_starting() -> None:
    assert {
        "Accepted": ("True", "Accepted"),
        "EngineAvailable": ("False", "EngineStarting"),
        "RerankVerified": ("Unknown", "EngineStarting"),
        "ConfigPublished": ("False", "WaitingForVerification"),
        "Ready": ("False", "EngineStarting"),
    } == told(deployed(pods=()))


def test_ready_repeats_the_first_thing_that_is_wrong_with_its_remedy() -> None:
    seen = deployed()
    seen = dataclasses.replace(seen, records=wrong(seen.pods[0]))

    assert ("False", "RankingWrong") == told(seen)["Ready"]
    assert f"Pod pod-1: POST /rerank scored badly. {MEANINGS[Reason.RANKING_WRONG].remedy}" == message(seen)


def test_a_candidate_that_starts_says_who_keeps_serving() -> None:
    seen = with_candidate(changed(serving(), **OTHER), deployed(2, pods=(), **OTHER))

    assert ("False", "EngineStarting") == told(seen)["Ready"]
    assert f"Revision {hash_of()} keeps serving." in message(seen)


def test_after_a_restart_the_cluster_itself_is_the_proof_of_verification() -> None:
    assert ("True", "RerankVerified") == told(dataclasses.replace(serving(), records={}))["RerankVerified"]


def test_a_served_reranker_that_goes_wrong_is_not_ready_and_stays_published() -> None:
    seen = serving()
    seen = dataclasses.replace(seen, records=wrong(seen.pods[0], Reason.SCORES_CONSTANT))

    assert ("False", "ScoresConstant") == told(seen)["Ready"]
    assert ("True", "ConfigPublished") == told(seen)["ConfigPublished"]


def test_suspension_is_told() -> None:
    assert ("False", "Suspended") == told(changed(serving(), suspend=True))["Ready"]


def test_a_name_conflict_names_the_object() -> None:
    seen = dataclasses.replace(observed(), conflicts=("Service 'bge'",))

    assert ("False", "NameConflict") == told(seen)["Ready"]
    assert message(seen).startswith("Service 'bge' exists and is not ours; it was not touched.")


def test_the_status_counts_and_names_what_is_there() -> None:
    status = build_status(serving())

    assert {
        "observedGeneration": 1,
        "selector": f"rerank-operator.io/reranker=bge,rerank-operator.io/revision={hash_of()}",
        "replicas": 1,
        "readyReplicas": 1,
        "activeRevision": hash_of(),
        "endpoint": "http://bge.search.svc:8000",
        "configMapName": "bge-milvus",
    } == {key: value for key, value in status.items() if key not in ("conditions", "verification")}


def test_a_condition_keeps_its_time_while_its_status_stays() -> None:
    resource = a_resource()
    resource["status"] = {
        "conditions": [
            {"type": "Accepted", "status": "True", "reason": "Accepted", "lastTransitionTime": "2020-01-01T00:00:00Z"},
            {"type": "Ready", "status": "Unknown", "reason": "Pending", "lastTransitionTime": "1970-01-01T00:00:00Z"},
        ]
    }
    times = {c["type"]: c["lastTransitionTime"] for c in build_status(observed(resource))["conditions"]}

    assert ("2020-01-01T00:00:00Z", NOW) == (times["Accepted"], times["Ready"])


@pytest.mark.parametrize("pods", [(), (a_pod(hash_of(), ready=False),)])
def test_building_a_status_twice_gives_the_same(pods: tuple[Pod, ...]) -> None:
    seen = deployed(pods=pods)
    first = build_status(seen)
    again = dataclasses.replace(seen, resource={**seen.resource, "status": first})

    assert first == build_status(dataclasses.replace(again, at=seen.at + 60))


def test_every_condition_is_always_there() -> None:
    for seen in (observed(), deployed(), serving(), dataclasses.replace(observed(), reranker=None, invalid="x")):
        assert ALWAYS == [c.type for c in judge_conditions(seen)]


TAKES_OVER = {names.ANNOTATION_TAKES_OVER: hash_of()}
HAS_ROOM = {**TAKES_OVER, names.ANNOTATION_ROOM_SINCE: NOW}
FAILED = {**HAS_ROOM, names.ANNOTATION_FAILED: json.dumps({"reason": "ModelNotFound", "detail": "It is not there."})}


def a_change(*pods: Pod, annotations: dict[str, str] | None = None) -> Observed:
    """`serving()` whose model was changed; these are all pods there are."""
    candidate = deployed(2, pods=(), **OTHER)
    candidate.deployments[hash_of(**OTHER)]["metadata"]["annotations"] = annotations or {}
    return dataclasses.replace(with_candidate(changed(serving(), **OTHER), candidate), pods=pods)


def ready_of(seen: Observed) -> tuple[str, str]:
    ready = next(c for c in judge_conditions(seen) if c.type is ConditionType.READY)
    return ready.reason.value, ready.message


WAITS = a_pod(
    hash_of(**OTHER),
    "pod-2",
    conditions=[{"type": "PodScheduled", "status": "False", "message": NO_GPU_LEFT, "lastTransitionTime": NOW}],
)
OLD_POD = a_pod(hash_of())


def test_with_auto_the_status_says_that_the_old_revision_will_make_room() -> None:
    reason, said = ready_of(a_change(OLD_POD, WAITS))

    assert "AcceleratorMissing" == reason
    assert f"Revision {hash_of()} keeps serving. If that stays so for 30 s" in said


def test_a_node_that_an_autoscaler_adds_is_told() -> None:
    seen = dataclasses.replace(a_change(OLD_POD, WAITS), events={WAITS.uid: (Said(AT, "TriggeredScaleUp"),)})

    assert "WaitingForNode" == ready_of(seen)[0]


def test_while_room_is_made_the_status_says_that_nothing_serves() -> None:
    making, alone = ready_of(a_change(OLD_POD, annotations=TAKES_OVER)), ready_of(a_change(annotations=HAS_ROOM))

    assert ("FreeingAccelerator", "EngineStarting") == (making[0], alone[0])
    assert "Nothing serves until it is ready" in making[1]
    assert f"revision {hash_of()} made room, and comes back if this fails" in alone[1]


def test_a_candidate_that_was_given_up_says_why_and_what_serves() -> None:
    back, coming = ready_of(a_change(OLD_POD, annotations=FAILED)), ready_of(a_change(annotations=FAILED))

    assert "ModelNotFound" == back[0]
    assert f"It is not there. Revision {hash_of()} serves again." in back[1]
    assert f"delete Deployment bge-{hash_of(**OTHER)} to try the same once more" in back[1]
    assert "is coming back" in coming[1]


def test_an_autoscaler_has_a_condition_of_its_own_that_ready_does_not_wait_for() -> None:
    waiting = {"prometheusAddress": "http://prometheus:9090"}
    seen = serving(autoscaling={"maxReplicas": 3, "waitingRequests": waiting})

    assert ("False", "KedaMissing") == told(seen)["AutoscalerActive"]
    assert ("True", "Ready") == told(seen)["Ready"]
    assert ("True", "AutoscalerActive") == told(dataclasses.replace(seen, keda_installed=True))["AutoscalerActive"]
