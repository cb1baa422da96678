"""What a status says about the spec as it is now."""

from rerank_operator.api.conditions import Condition, ConditionType
from rerank_operator.api.meanings import MEANINGS
from rerank_operator.api.reasons import Reason
from rerank_operator.cli.standing import standing_of, words_of
from tests.builders import NOW, a_resource
from tests.unit.cli.scripted_cluster import a_status

PULL = Condition(ConditionType.READY, "False", Reason.IMAGE_PULL_FAILED, "The kubelet says: NotFound")
STALLED = Condition(ConditionType.STALLED, "True", Reason.IMAGE_PULL_FAILED, "The kubelet says: NotFound")


def test_seen_and_remedy_are_told_apart() -> None:
    standing = standing_of({**a_resource(), "status": a_status(PULL, STALLED)})

    assert (True, False, True) == (standing.current, standing.ready, standing.stalled)
    assert "ImagePullFailed" == standing.reason
    assert "The kubelet says: NotFound." == standing.seen
    assert MEANINGS[Reason.IMAGE_PULL_FAILED].remedy == standing.remedy


def test_a_ready_reranker_is_ready() -> None:
    ready = Condition(ConditionType.READY, "True", Reason.READY)
    standing = standing_of({**a_resource(), "status": a_status(ready)})

    assert (True, False) == (standing.ready, standing.stalled)


def test_progress_is_told() -> None:
    progress = {"step": "LoadingModel", "detail": "3 of 5 shards", "since": NOW}
    starting = Condition(ConditionType.READY, "False", Reason.ENGINE_STARTING)
    standing = standing_of({**a_resource(), "status": a_status(starting, progress=progress)})

    assert ("LoadingModel", "3 of 5 shards", NOW) == (standing.step, standing.detail, standing.since)


def test_a_status_of_an_older_generation_says_nothing() -> None:
    resource = a_resource()
    resource["metadata"]["generation"] = 2
    ready = Condition(ConditionType.READY, "True", Reason.READY)
    standing = standing_of({**resource, "status": a_status(ready, STALLED)})

    assert (False, False, False) == (standing.current, standing.ready, standing.stalled)
    assert "The status describes generation 1 of the spec, which is at 2." == standing.seen
    assert MEANINGS[Reason.PENDING].remedy == standing.remedy


def test_a_reranker_that_nobody_has_looked_at_is_pending() -> None:
    standing = standing_of(a_resource())

    assert (False, "Pending", MEANINGS[Reason.PENDING].when) == (standing.ready, standing.reason, standing.seen)


def test_words_of_a_newer_operator_stay_whole() -> None:
    assert ("It is too warm. Open a window.", "") == words_of("Overheated", "It is too warm. Open a window.")
    assert ("Words that changed.", "") == words_of("ImagePullFailed", "Words that changed.")
