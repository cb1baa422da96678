"""How a candidate is brought up: state in, pods of each revision out."""

import dataclasses
import json
from typing import Any

import pytest

from rerank_operator.api import names
from rerank_operator.api.reasons import Reason
from rerank_operator.controller.pods import Object, Pod, Said
from rerank_operator.controller.rollout import AUTOSCALER_SECONDS, LOST_SECONDS, STUCK_SECONDS, Rollout, plan_rollout
from rerank_operator.controller.times import rfc3339, seconds_of
from rerank_operator.controller.values import Observed
from tests.builders import (
    NOW,
    a_pod,
    changed,
    deployed,
    hash_of,
    serving,
    with_candidate,
    wrong,
)
from tests.doubles.pod_status import NO_DEVICE, NO_GPU_LEFT

OTHER = {"model": {"name": "BAAI/bge-reranker-base"}}
OLD, NEW = hash_of(), hash_of(**OTHER)
OLD_POD = a_pod(OLD)


def unscheduled(message: str = NO_GPU_LEFT) -> Pod:
    """A candidate's pod of which the scheduler says that it fits nowhere."""
    said = {"type": "PodScheduled", "status": "False", "message": message, "lastTransitionTime": NOW}
    return a_pod(NEW, "pod-2", conditions=[said])


def container(**status: Any) -> Pod:
    """A candidate's pod with a container in this state."""
    not_ready = [{"type": "Ready", "status": "False"}]
    return a_pod(NEW, "pod-2", conditions=not_ready, containerStatuses=[{"name": "vllm", **status}])


def ended(message: str, restarts: int) -> Pod:
    last = {"terminated": {"exitCode": 1, "reason": "Error", "message": message}}
    return container(restartCount=restarts, state={"waiting": {"reason": "CrashLoopBackOff"}}, lastState=last)


def a_change(*pods: Pod, rollout: Object | None = None, annotations: Object | None = None) -> Observed:
    """`serving()` whose model was changed; these are all pods there are."""
    spec = {**OTHER, **({"rollout": rollout} if rollout else {})}
    candidate = deployed(2, pods=(), **spec)
    candidate.deployments[NEW]["metadata"]["annotations"] = annotations or {}
    return dataclasses.replace(with_candidate(changed(serving(), **spec), candidate), pods=pods)


def rolled(seen: Observed, seconds: float = 0.0) -> Rollout:
    """The rollout so many seconds after the pods were created."""
    return plan_rollout(dataclasses.replace(seen, at=seen.at + seconds), seen.revisions)


def attrs(rollout: Rollout) -> tuple[object, object]:
    return rollout.replicas, rollout.annotations


RECREATE = {"strategy": "Recreate"}
TAKES_OVER = {names.ANNOTATION_TAKES_OVER: OLD}
HAS_ROOM = {**TAKES_OVER, names.ANNOTATION_ROOM_SINCE: NOW}


def test_a_candidate_starts_beside_the_active_revision() -> None:
    assert Rollout({NEW: 1, OLD: 1}) == dataclasses.replace(rolled(a_change(OLD_POD)), look_again_at=None)


def test_a_strategy_does_not_change_the_revision() -> None:
    assert NEW == hash_of(**OTHER, rollout=RECREATE)


def test_with_auto_a_candidate_without_an_accelerator_waits_half_a_minute_and_then_takes_over() -> None:
    seen = a_change(OLD_POD, unscheduled())

    assert {NEW: 1, OLD: 1} == rolled(seen, 29).replicas
    assert seen.at + 30 == rolled(seen, 29).look_again_at
    assert ({NEW: 0, OLD: 0}, TAKES_OVER) == attrs(rolled(seen, 30))


def test_with_blue_green_it_waits_for_ever() -> None:
    assert {NEW: 1, OLD: 1} == rolled(
        a_change(OLD_POD, unscheduled(), rollout={"strategy": "BlueGreen"}), 9999
    ).replicas


@pytest.mark.parametrize(
    "message",
    [
        "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.",
        '0/1 nodes are available: persistentvolumeclaim "models" not found.',
        "0/1 nodes are available: 1 Insufficient example.com/fpga.",
    ],
)
def test_nobody_makes_room_where_room_would_not_help(message: str) -> None:
    assert {NEW: 1, OLD: 1} == rolled(a_change(OLD_POD, unscheduled(message)), 9999).replicas


def test_while_an_autoscaler_adds_a_node_nobody_makes_room() -> None:
    seen = a_change(OLD_POD, unscheduled())
    seen = dataclasses.replace(seen, events={"uid-of-pod-2": (Said(seen.at, "TriggeredScaleUp"),)})

    assert {NEW: 1, OLD: 1} == rolled(seen, AUTOSCALER_SECONDS - 1).replicas
    assert {NEW: 0, OLD: 0} == rolled(seen, AUTOSCALER_SECONDS).replicas


def test_pods_of_the_candidate_that_have_found_a_place_go_on_loading() -> None:
    seen = a_change(OLD_POD, unscheduled(), a_pod(NEW, "pod-3", ready=False))

    assert {NEW: 1, OLD: 0} == rolled(changed(seen, **OTHER, replicas=2), 30).replicas


def test_with_recreate_the_candidate_begins_when_the_last_old_pod_has_gone() -> None:
    draining = dataclasses.replace(OLD_POD, terminating=True)

    assert {NEW: 0, OLD: 0} == rolled(a_change(OLD_POD, rollout=RECREATE)).replicas
    assert {NEW: 0, OLD: 0} == rolled(a_change(draining, rollout=RECREATE)).replicas
    assert ({NEW: 1, OLD: 0}, HAS_ROOM) == attrs(rolled(a_change(rollout=RECREATE)))


def test_a_pod_that_a_lost_node_cannot_end_is_not_in_the_way() -> None:
    seen = a_change(annotations=TAKES_OVER)
    lost = dataclasses.replace(OLD_POD, terminating=True, gone_by=seen.at + 65)
    seen = dataclasses.replace(seen, pods=(lost,))

    assert ({NEW: 0, OLD: 0}, seen.at + 65 + LOST_SECONDS) == (rolled(seen).replicas, rolled(seen).look_again_at)
    assert {NEW: 1, OLD: 0} == rolled(seen, 65 + LOST_SECONDS).replicas


def test_what_took_over_stays_so_when_the_strategy_is_changed_meanwhile() -> None:
    assert {NEW: 1, OLD: 0} == rolled(a_change(rollout={"strategy": "BlueGreen"}, annotations=TAKES_OVER)).replicas


def gave_up(seen: Observed, seconds: float = 0.0) -> str | None:
    """The reason for which the candidate was given up, None while it was not."""
    rollout = rolled(seen, seconds)
    failed = rollout.annotations.get(names.ANNOTATION_FAILED)
    assert ({NEW: 0, OLD: 1} if failed else {NEW: 1, OLD: 0}) == rollout.replicas
    return json.loads(failed)["reason"] if failed else None


NOT_A_MODEL = "OSError: nowhere is not a valid model identifier listed on 'https://huggingface.co/models'"


def test_a_candidate_that_cannot_start_is_given_up_and_the_old_revision_comes_back() -> None:
    assert None is gave_up(a_change(ended(NOT_A_MODEL, 0), annotations=HAS_ROOM))
    assert Reason.MODEL_NOT_FOUND == gave_up(a_change(ended(NOT_A_MODEL, 1), annotations=HAS_ROOM))


def test_a_crash_without_a_known_cause_gets_two_more_tries() -> None:
    assert None is gave_up(a_change(ended("Killed", 2), annotations=HAS_ROOM))
    assert Reason.CRASH_LOOPING == gave_up(a_change(ended("Killed", 3), annotations=HAS_ROOM))


def test_a_candidate_that_ranks_wrong_three_times_is_given_up() -> None:
    pod = a_pod(NEW, "pod-2")
    seen = a_change(pod, annotations=HAS_ROOM)

    assert None is gave_up(dataclasses.replace(seen, records=wrong(pod, failures=2)))
    assert Reason.RANKING_WRONG == gave_up(dataclasses.replace(seen, records=wrong(pod, failures=3)))


def test_a_candidate_without_the_route_is_given_up_although_it_never_becomes_ready() -> None:
    runs = container(started=False, state={"running": {"startedAt": NOW}})
    seen = a_change(runs, rollout=RECREATE, annotations=HAS_ROOM)

    assert None is gave_up(dataclasses.replace(seen, early=wrong(runs, Reason.NOT_A_RERANKER, failures=2)))
    assert Reason.NOT_A_RERANKER == gave_up(
        dataclasses.replace(seen, early=wrong(runs, Reason.NOT_A_RERANKER, failures=3))
    )


@pytest.mark.parametrize("reason", [Reason.ENDPOINT_UNREACHABLE, Reason.ENGINE_UNRESPONSIVE])
def test_an_engine_that_does_not_listen_yet_is_not_given_up(reason: Reason) -> None:
    runs = container(started=False, state={"running": {"startedAt": NOW}})
    seen = a_change(runs, rollout=RECREATE, annotations=HAS_ROOM)

    assert None is gave_up(dataclasses.replace(seen, early=wrong(runs, reason, failures=9)))


def test_a_candidate_that_had_started_and_is_not_ready_for_a_moment_is_not_given_up() -> None:
    runs = container(started=True, state={"running": {"startedAt": NOW}})

    assert None is gave_up(a_change(runs, rollout=RECREATE, annotations=HAS_ROOM), 3600)


def test_what_may_pass_by_itself_gets_a_minute() -> None:
    pulling = {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}}
    seen = a_change(container(state=pulling), annotations=HAS_ROOM)

    assert None is gave_up(seen, STUCK_SECONDS - 1)
    assert Reason.IMAGE_PULL_FAILED == gave_up(seen, STUCK_SECONDS)


@pytest.mark.parametrize(
    ("source", "takes_over"), [("resourceClaimTemplateName", True), ("resourceClaimName", False)], ids=["own", "shared"]
)
def test_a_device_of_a_claim_of_its_own_is_freed_and_one_that_all_pods_share_is_not(
    source: str, takes_over: bool
) -> None:
    seen = a_change(OLD_POD, unscheduled(NO_DEVICE))
    stored = seen.revisions[OLD]["data"]["template"]["spec"]
    stored["resourceClaims"] = [{"name": "gpu", source: "one"}]

    assert takes_over == (rolled(seen, 31).replicas[OLD] == 0)


def test_a_candidate_that_fits_nowhere_even_with_all_the_room_is_given_up() -> None:
    seen = a_change(unscheduled(), annotations=HAS_ROOM)

    assert None is gave_up(seen, 29)
    assert Reason.ACCELERATOR_MISSING == gave_up(seen, 30)


def test_a_pod_that_waited_for_room_is_judged_from_the_moment_there_was_room() -> None:
    later = {**TAKES_OVER, names.ANNOTATION_ROOM_SINCE: rfc3339(seconds_of(NOW) + 100)}
    seen = a_change(unscheduled(), annotations=later)

    assert None is gave_up(seen, 129)
    assert Reason.ACCELERATOR_MISSING == gave_up(seen, 130)


def test_a_refused_pod_gives_the_candidate_up() -> None:
    seen = a_change(annotations=HAS_ROOM)
    refused = {"type": "ReplicaFailure", "status": "True", "message": "violates PodSecurity", "lastTransitionTime": NOW}
    seen.deployments[NEW]["status"] = {"conditions": [refused]}

    assert None is gave_up(seen, STUCK_SECONDS - 1)
    assert Reason.POD_SECURITY_FORBIDDEN == gave_up(seen, STUCK_SECONDS)


def test_a_candidate_that_never_answers_is_given_up_after_its_startup_time() -> None:
    seen = a_change(container(state={"running": {"startedAt": NOW}}, started=False), annotations=HAS_ROOM)

    assert None is gave_up(seen, 3599)
    assert seen.at + 3600 == rolled(seen, 3599).look_again_at
    assert Reason.STARTUP_TIMEOUT == gave_up(seen, 3600)


def test_a_candidate_whose_container_never_starts_is_given_up_after_its_startup_time() -> None:
    seen = a_change(container(state={"waiting": {"reason": "ContainerCreating"}}), annotations=HAS_ROOM)

    assert None is gave_up(seen, 3599)
    assert seen.at + 3600 == rolled(seen, 3599).look_again_at
    assert Reason.STARTUP_TIMEOUT == gave_up(seen, 3600)


def test_a_candidate_without_its_secret_is_given_up_after_a_minute() -> None:
    fault = (Reason.SECRET_MISSING, "Secret 'callers' does not exist")
    seen = a_change(container(state={"waiting": {"reason": "ContainerCreating"}}), annotations=HAS_ROOM)
    seen = dataclasses.replace(seen, secret_fault=fault)

    assert None is gave_up(seen, STUCK_SECONDS - 1)
    assert Reason.SECRET_MISSING == gave_up(seen, STUCK_SECONDS)


def test_a_candidate_that_was_given_up_stays_so() -> None:
    failed = {**TAKES_OVER, names.ANNOTATION_FAILED: json.dumps({"reason": "ModelNotFound", "detail": "gone"})}

    assert Rollout({NEW: 0, OLD: 1}) == rolled(a_change(OLD_POD, annotations=failed))


def test_a_suspended_change_runs_no_pod_at_all() -> None:
    for annotations in ({}, TAKES_OVER, HAS_ROOM):
        seen = a_change(annotations=annotations)
        suspended = changed(seen, **OTHER, suspend=True)
        assert {0} == set(rolled(suspended).replicas.values())
