"""`doctor` names the fault, and shows what it read."""

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from rerank_operator.api.meanings import MEANINGS
from rerank_operator.api.reasons import Reason
from rerank_operator.cli import cli
from rerank_operator.clients.errors import ApiRejected, ApiUnavailable
from tests.builders import NOW
from tests.doubles import pod_status
from tests.doubles.pod_status import Behaviour
from tests.unit.cli.scripted_cluster import (
    POD_UID,
    ScriptedCluster,
    a_model_pod,
    a_reranker,
    an_event,
    ready,
    stalled,
)

IP = "10.0.0.7"
SERVES = {"endpoint": "http://bge.search.svc:8000", "configMapName": "bge-milvus"}
READY = ready("True", Reason.READY)
REMEDY = MEANINGS[Reason.IMAGE_PULL_FAILED].remedy


def played(behaviour: Behaviour) -> dict[str, Any]:
    """A model pod to which this happens."""
    pod = a_model_pod({})
    return a_model_pod(behaviour.status(pod, IP, NOW))


@pytest.fixture
def cluster() -> ScriptedCluster:
    """A reranker that serves from one pod."""
    made = ScriptedCluster()
    made.put("search", a_reranker(READY, **SERVES))
    made.put("search", played(pod_status.becomes_ready()))
    return made


def doctor(cluster: ScriptedCluster, *arguments: str) -> tuple[int, str, str]:
    with cluster.connected():
        result = CliRunner().invoke(cli, ["doctor", "bge", "--namespace", "search", *arguments])
    return result.exit_code, result.stdout, result.stderr


def report(cluster: ScriptedCluster) -> dict[str, Any]:
    _, out, _ = doctor(cluster, "--output", "json")
    found: dict[str, Any] = json.loads(out)
    return found


def breaks(cluster: ScriptedCluster, behaviour: Behaviour, *conditions: Any) -> None:
    cluster.put("search", played(behaviour))
    cluster.put("search", a_reranker(*conditions))


def test_a_reranker_that_serves_is_ready(cluster: ScriptedCluster) -> None:
    code, out, err = doctor(cluster)

    assert (0, "") == (code, err)
    assert "Ready: reranker bge in namespace search is ready" == out.splitlines()[0]
    assert "http://bge.search.svc:8000, ConfigMap bge-milvus" in out
    assert cluster.closed


def test_a_fault_comes_with_what_was_seen_and_the_remedy(cluster: ScriptedCluster) -> None:
    seen = "The kubelet says: rpc error: code = NotFound"
    breaks(
        cluster,
        pod_status.image_pull_back_off(),
        ready("False", Reason.IMAGE_PULL_FAILED, seen),
        stalled(Reason.IMAGE_PULL_FAILED, seen),
    )
    code, out, _ = doctor(cluster)

    assert 1 == code
    assert [
        "ImagePullFailed: reranker bge in namespace search is not ready",
        f"  seen    {seen}.",
        f"  remedy  {REMEDY}",
    ] == out.splitlines()[:3]
    row = next(line.split() for line in out.splitlines() if line.startswith("  bge-1"))
    assert ["bge-1", "no", "Pending", "0"] == row[:4]
    assert ["node-1", "ImagePullBackOff"] == row[5:]


def test_the_pods_tell_what_an_operator_that_is_away_does_not(cluster: ScriptedCluster) -> None:
    breaks(cluster, pod_status.image_pull_back_off())
    found = report(cluster)

    assert (False, "ImagePullFailed", REMEDY) == (found["ready"], found["reason"], found["remedy"])
    assert found["observedGeneration"] is None


def test_the_pods_tell_more_than_that_it_starts(cluster: ScriptedCluster) -> None:
    breaks(cluster, pod_status.image_pull_back_off(), ready())

    assert "ImagePullFailed" == report(cluster)["reason"]


def test_the_word_of_the_operator_stands_where_it_names_a_fault(cluster: ScriptedCluster) -> None:
    breaks(cluster, pod_status.image_pull_back_off(), ready("False", Reason.RANKING_WRONG, "POST /rerank scored"))
    found = report(cluster)

    assert ("RankingWrong", "ImagePullFailed") == (found["reason"], found["podFault"]["reason"])


def test_a_reranker_that_serves_with_a_pod_less_stays_ready(cluster: ScriptedCluster) -> None:
    breaks(cluster, pod_status.unschedulable(), READY)
    code, out, _ = doctor(cluster)

    assert 0 == code
    assert "  pods    AcceleratorMissing: " in out


def test_a_status_of_an_older_spec_is_not_believed(cluster: ScriptedCluster) -> None:
    resource = a_reranker(READY, **SERVES)
    resource["metadata"]["generation"] = 2
    cluster.put("search", resource)
    code, out, _ = doctor(cluster)

    assert 1 == code
    assert "The status describes generation 1 of the spec, which is at 2." in out


def test_the_log_is_that_of_the_run_that_crashed(cluster: ScriptedCluster) -> None:
    pod = a_model_pod(pod_status.running(a_model_pod({}), IP, NOW, ready=False))
    pod["status"]["containerStatuses"][0]["lastState"] = {
        "terminated": {"exitCode": 1, "message": "", "reason": "Error"}
    }
    cluster.put("search", pod)
    cluster.put("search", a_reranker(ready()))
    cluster.logs["bge-1", True] = "\n".join(f"line {number}" for number in range(30)) + "\nHF_TOKEN=hf_secret\n"
    found = report(cluster)

    assert ("bge-1", "vllm", True) in cluster.asked_logs
    assert ("bge-1", True, 20) == (found["log"]["pod"], found["log"]["previous"], len(found["log"]["lines"]))
    assert "HF_TOKEN=***" == found["log"]["lines"][-1]


def test_the_log_of_a_pod_that_loads_is_that_of_its_run(cluster: ScriptedCluster) -> None:
    breaks(cluster, pod_status.never_ready(), ready())
    cluster.logs["bge-1", False] = "Loading safetensors"
    _, out, _ = doctor(cluster)

    assert "The last lines of the log of bge-1\n  Loading safetensors" in out


def test_a_pod_that_serves_is_not_asked_for_its_log(cluster: ScriptedCluster) -> None:
    doctor(cluster)

    assert [] == cluster.asked_logs


def test_the_newest_events_come_last_and_are_twenty_at_most(cluster: ScriptedCluster) -> None:
    cluster.events["uid-of-bge"] = [an_event("Newest", "m", "2026-11-24T13:00:00Z", "RerankService", "bge")]
    cluster.events[POD_UID] = [an_event(f"E{n}", "m", f"2026-11-24T12:00:{n:02}Z") for n in range(30)]
    events = report(cluster)["events"]

    assert 20 == len(events)
    assert ["E11", "Newest"] == [events[0]["reason"], events[-1]["reason"]]
    assert {
        "at": "2026-11-24T13:00:00Z",
        "type": "Warning",
        "reason": "Newest",
        "about": "RerankService/bge",
        "message": "m",
        "count": 3,
    } == events[-1]


def test_what_may_not_be_read_is_said_and_the_rest_is_shown(cluster: ScriptedCluster) -> None:
    refused = 'User "jane" cannot list resource "events" in API group "" in the namespace "search"'
    cluster.events["uid-of-bge"] = ApiRejected(f"403 {refused}")
    cluster.events[POD_UID] = ApiRejected(f"403 {refused}")
    code, out, _ = doctor(cluster)

    assert 0 == code
    assert out.endswith("Not read\n  jane may not list events in namespace search\n")


def test_a_node_that_does_not_answer_costs_only_the_log(cluster: ScriptedCluster) -> None:
    breaks(cluster, pod_status.never_ready(), ready())
    cluster.logs["bge-1", False] = ApiUnavailable("failed to GET the log: timeout")

    assert ["failed to GET the log: timeout"] == report(cluster)["unreadable"]


def test_verification_and_progress_are_shown(cluster: ScriptedCluster) -> None:
    progress = {"step": "LoadingModel", "detail": "3 of 5 shards", "since": NOW}
    verification = {
        "scoreScale": "ZeroToOne",
        "lowestScore": "0.0025",
        "highestScore": "0.98",
        "overlongDocuments": "Truncated",
        "pods": [{"name": "bge-1", "reason": "RerankVerified", "latencyMilliseconds": 12, "lastTransitionTime": NOW}],
    }
    cluster.put("search", a_reranker(ready(), progress=progress, verification=verification))
    _, out, _ = doctor(cluster)

    assert "  doing   LoadingModel: 3 of 5 shards, for " in out
    assert "  scores 0.0025 to 0.98, ZeroToOne\n  overlong documents Truncated\n  bge-1  12 ms  RerankVerified\n" in out


def test_a_missing_reranker_is_told_with_those_that_exist(cluster: ScriptedCluster) -> None:
    with cluster.connected():
        result = CliRunner().invoke(cli, ["doctor", "bgee", "-n", "search"])

    assert (2, "") == (result.exit_code, result.stdout)
    assert "RerankService 'bgee' does not exist in namespace 'search'. There are: bge." in result.stderr


def test_an_empty_namespace_is_told_apart(cluster: ScriptedCluster) -> None:
    with cluster.connected():
        result = CliRunner().invoke(cli, ["doctor", "bge"])

    assert 2 == result.exit_code
    assert "does not exist in namespace 'default'. There is none in this namespace" in result.stderr


def test_without_the_right_to_read_it_there_is_no_answer(cluster: ScriptedCluster) -> None:
    refused = 'User "jane" cannot get resource "rerankservices" in API group "rerank-operator.io" in the namespace "s"'
    cluster.objects["RerankService", "search"] = ApiRejected(refused)
    code, out, err = doctor(cluster)

    assert (2, "") == (code, out)
    assert "jane may not get rerankservices.rerank-operator.io in namespace s." in err
