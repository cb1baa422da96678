"""Decisions: state in, plan out."""

import dataclasses

from rerank_operator.api import names
from rerank_operator.controller.decisions import Plan
from rerank_operator.controller.plan import make_plan
from rerank_operator.controller.pods import Object
from rerank_operator.controller.values import Observed, Record
from rerank_operator.rerank.batch import Batch
from rerank_operator.rerank.verdict import RIGHT
from tests.builders import (
    AT,
    IMAGES,
    a_pod,
    a_revision,
    changed,
    deployed,
    hash_of,
    names_of,
    observed,
    right,
    serving,
    with_candidate,
    wrong,
)

OTHER = {"model": {"name": "BAAI/bge-reranker-base"}}


def plan(seen: Observed, seconds: float = 0.0) -> Plan:
    """The plan so many seconds after the pods were created."""
    return make_plan(dataclasses.replace(seen, at=seen.at + seconds), IMAGES)


def test_a_new_reranker_gets_a_revision_its_files_and_its_deployment_in_this_order() -> None:
    name = f"bge-{hash_of()}"
    made = plan(observed())

    assert [("ControllerRevision", name), ("ConfigMap", name), ("Deployment", name)] == names_of(made.create)
    assert ((), (), (), ()) == (made.update, made.verify, made.publish, made.delete)


def test_while_the_engine_starts_there_is_nothing_to_do() -> None:
    assert Plan() == plan(deployed(pods=()))


def test_a_ready_pod_that_nobody_has_asked_is_verified_and_nothing_is_published() -> None:
    made = plan(deployed())

    assert ["http://10.0.0.7:8000"] == [target.endpoint.base_url for target in made.verify]
    assert ["BAAI/bge-reranker-v2-m3"] == [target.endpoint.model for target in made.verify]
    assert () == made.publish


def test_a_pod_with_an_ipv6_address_is_asked_at_a_bracketed_address() -> None:
    made = plan(deployed(pods=(a_pod(hash_of(), podIP="fd00::7"),)))

    assert "http://[fd00::7]:8000" == made.verify[0].endpoint.base_url


def test_service_and_config_map_follow_when_every_pod_is_right() -> None:
    seen = deployed()
    made = plan(dataclasses.replace(seen, records=right(seen.pods)))

    assert [("Service", "bge"), ("ConfigMap", "bge-milvus")] == names_of(made.publish)
    assert () == made.verify


def test_one_right_pod_of_two_wanted_is_not_enough() -> None:
    seen = deployed(replicas=2)

    assert () == plan(dataclasses.replace(seen, records=right(seen.pods))).publish


def test_a_wrong_pod_is_asked_again_only_when_its_time_has_come() -> None:
    seen = deployed()
    seen = dataclasses.replace(seen, records=wrong(seen.pods[0], ask_again_at=AT + 30.0))

    early, later = plan(seen, 10.0), plan(seen, 30.0)
    assert ((), 20.0) == (early.verify, early.requeue_after)
    assert 1 == len(later.verify)
    assert () == later.publish


def test_what_serves_and_says_what_it_should_needs_nothing_until_it_is_asked_again() -> None:
    assert Plan(requeue_after=300) == plan(serving())


def test_after_a_restart_nothing_is_written_though_no_verdict_is_known() -> None:
    made = plan(dataclasses.replace(serving(), records={}))

    assert 1 == len(made.verify)
    assert Plan() == dataclasses.replace(made, verify=())


def test_an_edit_that_shapes_pods_brings_up_a_candidate_and_leaves_service_and_publication_alone() -> None:
    made = plan(changed(serving(), **OTHER))
    name = f"bge-{hash_of(**OTHER)}"

    assert [("ControllerRevision", name), ("ConfigMap", name), ("Deployment", name)] == names_of(made.create)
    assert ((), (), ()) == (made.update, made.publish, made.delete)
    assert 2 == made.create[0]["revision"]


def test_the_publication_is_not_touched_while_a_candidate_is_on_its_way() -> None:
    edited = changed(serving(), **OTHER, milvus={"inputField": "document"}, service={"port": 9000})

    assert () == plan(edited).publish


def test_a_right_candidate_takes_over_service_and_publication_together() -> None:
    candidate = deployed(2, pods=(a_pod(hash_of(**OTHER), "pod-2"),), **OTHER)
    seen = with_candidate(changed(serving(), **OTHER), candidate)
    made = plan(dataclasses.replace(seen, records={**seen.records, **right(candidate.pods)}))

    assert [("Service", "bge"), ("ConfigMap", "bge-milvus")] == names_of(made.publish)
    assert hash_of(**OTHER) == made.publish[0]["spec"]["selector"]["rerank-operator.io/revision"]
    assert "BAAI/bge-reranker-base" == made.publish[1]["data"]["RERANK_MODEL"]
    assert () == made.delete


def test_a_wrong_candidate_changes_nothing() -> None:
    candidate = deployed(2, pods=(a_pod(hash_of(**OTHER), "pod-2"),), **OTHER)
    seen = with_candidate(changed(serving(), **OTHER), candidate)
    made = plan(dataclasses.replace(seen, records={**seen.records, **wrong(candidate.pods[0], ask_again_at=AT + 5.0)}))

    assert Plan(requeue_after=5.0) == made


def test_what_was_switched_away_from_loses_its_deployment_and_keeps_its_snapshot() -> None:
    old = deployed(pods=())
    seen = with_candidate(serving(**OTHER), old)

    assert [("Deployment", f"bge-{hash_of()}")] == names_of(plan(seen).delete)


def test_snapshots_beyond_the_history_go_with_their_files() -> None:
    seen = serving()
    old = {f"old{number}": a_revision(number, milvus={}) for number in range(-3, 0)}
    for revision, stored in old.items():
        stored["metadata"]["labels"]["rerank-operator.io/revision"] = revision
        stored["metadata"]["name"] = f"bge-{revision}"
    files = {"old-3": {"kind": "ConfigMap", "metadata": {"name": "bge-old-3"}}}
    seen = dataclasses.replace(seen, revisions={**seen.revisions, **old}, files={**seen.files, **files})

    assert [("ControllerRevision", "bge-old-3"), ("ConfigMap", "bge-old-3")] == names_of(plan(seen).delete)


def test_a_deployment_that_somebody_changed_is_corrected() -> None:
    seen = serving()
    seen.deployments[hash_of()]["spec"]["replicas"] = 5

    assert [("Deployment", f"bge-{hash_of()}")] == names_of(plan(seen).update)


def test_a_service_that_somebody_deleted_is_put_back_even_while_a_candidate_is_on_its_way() -> None:
    seen = dataclasses.replace(changed(serving(), **OTHER), service=None)
    made = plan(seen)

    assert [("Service", "bge")] == names_of(made.publish)
    assert hash_of() == made.publish[0]["spec"]["selector"]["rerank-operator.io/revision"]


def test_a_crash_between_service_and_config_map_is_finished_once_the_pods_are_right_again() -> None:
    half = dataclasses.replace(serving(), publications=())

    assert [("ConfigMap", "bge-milvus")] == names_of(plan(half).publish)
    assert () == plan(dataclasses.replace(half, records={})).publish


def test_suspending_scales_to_zero_and_keeps_the_publication() -> None:
    seen = changed(serving(), suspend=True)
    made = plan(seen)

    assert [0] == [deployment["spec"]["replicas"] for deployment in made.update]
    assert ((), ()) == (made.publish, made.delete)


def test_another_name_for_the_config_map_creates_it_first_and_deletes_the_old_one_after() -> None:
    renamed = changed(serving(), publish={"configMapName": "params"})
    first = plan(renamed)

    assert [("ConfigMap", "params")] == names_of(first.publish)
    assert () == first.delete
    both = dataclasses.replace(renamed, publications=(*renamed.publications, *first.publish))
    assert [("ConfigMap", "bge-milvus")] == names_of(plan(both).delete)


def test_a_name_conflict_or_an_invalid_resource_stops_everything() -> None:
    assert Plan() == plan(dataclasses.replace(observed(), conflicts=("Service 'bge'",)))
    assert Plan() == plan(dataclasses.replace(observed(), reranker=None, invalid="spec.model: required"))


def test_an_edit_by_hand_is_taken_back_while_a_candidate_is_on_its_way() -> None:
    seen = changed(serving(), **OTHER)
    seen.publications[0]["data"]["RERANK_MODEL"] = "another"

    made = plan(seen).publish
    assert [("ConfigMap", "bge-milvus")] == names_of(made)
    assert "BAAI/bge-reranker-v2-m3" == made[0]["data"]["RERANK_MODEL"]


def measured(seen: Observed, *batches: Batch | None) -> Observed:
    """`seen` with a right verdict on each of its pods, and what was measured there."""
    pods = zip(seen.pods, batches, strict=True)
    return dataclasses.replace(seen, records={pod.uid: Record(RIGHT, 0, AT + 300, batch) for pod, batch in pods})


TWO_PODS = (a_pod(hash_of()), a_pod(hash_of(), "pod-2"))


def test_the_slowest_pod_decides_what_one_request_may_hold() -> None:
    seen = measured(deployed(replicas=2, pods=TWO_PODS), Batch(256, 256), Batch(128, 256))

    assert "128 of 256" == annotation_of(plan(seen).publish[1])


def test_what_was_published_stays_when_the_slowest_pod_goes() -> None:
    published = plan(measured(deployed(replicas=2, pods=TWO_PODS), Batch(256, 256), Batch(128, 256))).publish
    seen = measured(serving(), Batch(256, 256))

    assert () == plan(dataclasses.replace(seen, service=published[0], publications=(published[1],))).publish


def test_one_pod_is_measured_and_the_others_only_asked() -> None:
    assert [256, 0] == [target.endpoint.batch for target in plan(deployed(replicas=2, pods=TWO_PODS)).verify]


def test_a_batch_that_was_answered_too_late_is_not_asked_again() -> None:
    seen = measured(deployed(milvus={"maxClientBatchSize": 1024}), Batch(64, 256))

    assert () == plan(seen).verify


def annotation_of(publication: Object) -> str:
    return str(publication["metadata"]["annotations"][names.ANNOTATION_BATCH])
