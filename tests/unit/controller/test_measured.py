"""What the status says of what was measured and of what goes on, without churning."""

import dataclasses
from typing import Any

import pytest

from rerank_operator.api.reasons import Reason
from rerank_operator.controller.measured import progress_status, verification_status
from rerank_operator.controller.pods import Object, Pod, Said
from rerank_operator.controller.status import build_status, is_worth_a_write, judge_conditions
from rerank_operator.controller.times import rfc3339
from rerank_operator.controller.values import Observed, Record
from rerank_operator.rerank.verdict import Verdict
from tests.builders import AT, NOW, a_pod, deployed, hash_of, serving, wrong

LATER = rfc3339(AT + 600)
RUNNING = {"name": "vllm", "started": False, "state": {"running": {"startedAt": NOW}}}
SCHEDULED = {"type": "PodScheduled", "status": "True", "lastTransitionTime": NOW}
LOADS = "Loading safetensors checkpoint shards:  50% Completed | 1/2 [00:01<00:01,  1.00s/it]\n"


def told(seen: Observed, before: Object | None = None, now: str = NOW) -> Object:
    """The verification status after the one `before`."""
    seen.resource["status"] = {"verification": before or {}, "activeRevision": hash_of()}
    found = verification_status(seen, now)
    assert found is not None
    return found


def slower(seen: Observed, seconds: float) -> Observed:
    records = {uid: dataclasses.replace(record, seconds=seconds) for uid, record in seen.records.items()}
    return dataclasses.replace(seen, records=records)


def test_range_latency_and_treatment_of_overlong_documents_are_shown() -> None:
    assert {
        "scoreScale": "ZeroToOne",
        "lowestScore": "0.0020",
        "highestScore": "1.00",
        "overlongDocuments": "Truncated",
        "pods": [
            {"name": "pod-1", "reason": "RerankVerified", "latencyMilliseconds": 20, "lastTransitionTime": NOW},
        ],
    } == told(serving())


@pytest.mark.parametrize(("seconds", "shown"), [(0.16, 20), (0.001, 20), (0.161, 161)])
def test_a_latency_is_written_again_only_when_it_is_eight_times_another(seconds: float, shown: int) -> None:
    before = told(serving())

    assert shown == told(slower(serving(), seconds), before, LATER)["pods"][0]["latencyMilliseconds"]


def test_nothing_changes_with_other_last_digits_or_with_time() -> None:
    before = told(serving())
    seen = serving()
    records = {uid: dataclasses.replace(r, scores=(0.0021, 0.9979), seconds=0.03) for uid, r in seen.records.items()}

    assert before == told(dataclasses.replace(seen, records=records), before, LATER)


def test_an_operator_that_has_just_started_keeps_what_was_written() -> None:
    before = told(serving())

    assert before == told(dataclasses.replace(serving(), records={}), before, LATER)


def test_figures_of_another_model_are_not_kept() -> None:
    before, seen = {**told(serving()), "highestScore": "8.1"}, serving()
    seen.resource["status"] = {"verification": before, "activeRevision": "another"}
    found = verification_status(seen, LATER)

    assert found is not None
    assert "1.00" == found["highestScore"]


def test_the_time_is_when_the_reason_changed() -> None:
    before, seen = told(serving()), serving()
    seen = dataclasses.replace(seen, records=wrong(seen.pods[0]))
    (pod,) = told(seen, before, LATER)["pods"]

    assert ("RankingWrong", LATER) == (pod["reason"], pod["lastTransitionTime"])


def test_wrong_pods_come_first_and_the_list_is_short() -> None:
    pods = tuple(a_pod(hash_of(replicas=30), f"pod-{number:02}") for number in range(30))
    seen = serving(replicas=30)
    records = {pod.uid: next(iter(serving().records.values())) for pod in pods}
    records[pods[25].uid] = Record(Verdict(Reason.SCORES_CONSTANT))
    listed = told(dataclasses.replace(seen, pods=pods, records=records))["pods"]

    assert (20, "pod-25") == (len(listed), listed[0]["name"])


def test_before_any_pod_answered_there_is_nothing_to_show() -> None:
    assert verification_status(deployed(), NOW) is None


def starting(pod: Pod, **parts: Any) -> Observed:
    return dataclasses.replace(deployed(pods=(pod,)), **parts)


UNPLACED = a_pod(hash_of(), ready=False, conditions=[{"type": "Ready", "status": "False"}])
PLACED = a_pod(hash_of(), ready=False, conditions=[SCHEDULED])
UP = a_pod(hash_of(), ready=False, conditions=[SCHEDULED], containerStatuses=[RUNNING])
PULLS = {"uid-of-pod-1": (Said(AT, "Pulling", 'Pulling image "x"'),)}
PULLED = {"uid-of-pod-1": (Said(AT, "Pulling"), Said(AT + 1, "Pulled"))}
STEPS: dict[str, tuple[Observed, str]] = {
    "no node yet": (starting(UNPLACED), "Scheduling"),
    "on a node": (starting(PLACED), "Starting"),
    "pulling": (starting(PLACED, events=PULLS), "PullingImage"),
    "pulled": (starting(PLACED, events=PULLED), "Starting"),
    "runs": (starting(UP), "Starting"),
    "loads": (starting(UP, logs={"uid-of-pod-1": LOADS}), "LoadingModel"),
    "ready": (deployed(), "Verifying"),
}


@pytest.mark.parametrize(("seen", "step"), STEPS.values(), ids=STEPS)
def test_the_step_of_a_pod_that_comes_up(seen: Observed, step: str) -> None:
    progress = progress_status(seen)

    assert progress is not None
    assert (step, NOW) == (progress["step"], progress["since"])


def preparing(name: str, state: Object, log: str = "", at: float = AT) -> Observed:
    """A pod whose init container `name` is in a state, and the end of its log."""
    step = {"name": name, "started": "running" in state, "state": state}  # as the kubelet says it
    pod = a_pod(hash_of(), ready=False, conditions=[SCHEDULED], initContainerStatuses=[step])
    return starting(pod, logs={pod.uid: log} if log else {}, at=at)


FETCHES = {"running": {"startedAt": NOW}}
FETCHED = "downloaded 0 % of 2.27 GB\ndownloaded 45 % of 2.27 GB\n"
PREPARATIONS: dict[str, tuple[Observed, Object]] = {
    "has printed nothing yet": (preparing("fetch-model", FETCHES), {"step": "Starting"}),
    "downloads": (
        preparing("fetch-model", FETCHES, FETCHED),
        {"step": "DownloadingModel", "detail": "40 % of 2.27 GB"},
    ),
    "reads the files": (preparing("check-model", FETCHES, FETCHED), {"step": "Starting"}),
    "has ended": (preparing("fetch-model", {"terminated": {"exitCode": 0}}), {"step": "Starting"}),
}


@pytest.mark.parametrize(("seen", "told"), PREPARATIONS.values(), ids=PREPARATIONS)
def test_the_step_of_a_pod_that_fetches_its_model(seen: Observed, told: Object) -> None:
    assert {**told, "since": NOW} == progress_status(seen)


def test_a_download_is_told_in_tens_so_that_the_status_is_not_written_all_the_time() -> None:
    lines = [f"downloaded {percent} % of 2.27 GB\n" for percent in range(101)]
    details = {(progress_status(preparing("fetch-model", FETCHES, line)) or {})["detail"] for line in lines}

    assert 11 == len(details)


def test_a_step_keeps_the_time_when_it_began() -> None:
    seen = dataclasses.replace(starting(UP, logs={"uid-of-pod-1": LOADS}), at=AT + 60)
    seen.resource["status"] = {"progress": {"step": "LoadingModel", "since": NOW}}
    progress = progress_status(seen)

    assert progress is not None
    assert NOW == progress["since"]


def test_the_slowest_pod_is_told_of() -> None:
    second = a_pod(hash_of(), "pod-2", ready=False, conditions=[SCHEDULED], containerStatuses=[RUNNING])
    progress = progress_status(dataclasses.replace(deployed(), pods=(a_pod(hash_of()), second)))

    assert progress is not None
    assert "Starting" == progress["step"]


def test_there_is_no_progress_of_what_serves_or_is_broken() -> None:
    crash = {"terminated": {"exitCode": 1, "message": "ValueError: no"}}
    broken = a_pod(hash_of(), ready=False, conditions=[SCHEDULED], containerStatuses=[{**RUNNING, "lastState": crash}])

    assert "progress" not in build_status(serving())
    assert "progress" not in build_status(starting(broken))


def test_a_step_of_a_few_seconds_is_not_worth_a_write() -> None:
    before, status = build_status(starting(UNPLACED)), build_status(starting(UP))

    assert before != status
    assert not is_worth_a_write(before, status, AT + 9)
    assert is_worth_a_write(before, status, AT + 10)


def test_for_tools_a_reranker_progresses_stalls_or_is_done() -> None:
    def of(seen: Observed) -> tuple[str, str, str]:
        found = {c.type.value: c.status for c in judge_conditions(seen)}
        return found["Ready"], found["Progressing"], found["Stalled"]

    seen = serving()
    assert ("True", "False", "False") == of(seen)
    assert ("False", "True", "False") == of(deployed(pods=()))
    assert ("False", "False", "True") == of(dataclasses.replace(seen, records=wrong(seen.pods[0])))
    assert ("False", "False", "False") == of(serving(suspend=True))
