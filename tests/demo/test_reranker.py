import pathlib
from typing import Any

from tests.demo.reranker import Readiness, Reranker, readiness

SAMPLE = pathlib.Path(__file__).resolve().parents[2] / "manifests" / "samples" / "demo.yaml"


def resource(**ready: Any) -> dict[str, Any]:
    condition = {
        "type": "Ready",
        "status": "True",
        "reason": "Ready",
        "message": "m",
        "observedGeneration": 2,
    }
    return {
        "metadata": {"generation": 2},
        "status": {"configMapName": "capitals-milvus", "conditions": [{**condition, **ready}]},
    }


def test_the_sample_of_the_demo_names_the_tiny_model_and_a_volume() -> None:
    reranker = Reranker.from_sample(SAMPLE, "demo", model_path="tiny-reranker-1")
    assert ("capitals", "demo", "capitals-tiny", "models") == (
        reranker.name,
        reranker.namespace,
        reranker.model,
        reranker.claim_name,
    )
    assert "tiny-reranker-1" == reranker.manifest["spec"]["model"]["source"]["volume"]["path"]


def test_a_reranker_is_ready_when_the_condition_speaks_of_the_spec_as_it_is() -> None:
    assert readiness(resource()).is_ready


def test_a_ready_condition_of_an_older_spec_does_not_count() -> None:
    assert "Unknown" == readiness(resource(observedGeneration=1)).status


def test_a_failure_is_shown_with_its_reason_and_message() -> None:
    failed = resource(status="False", reason="ImagePullFailed", message="Check the image.")
    assert Readiness("False", "ImagePullFailed", "Check the image.", "capitals-milvus") == readiness(failed)


def test_a_resource_that_no_operator_has_seen_is_not_ready() -> None:
    assert not readiness({"metadata": {"generation": 1}}).is_ready
