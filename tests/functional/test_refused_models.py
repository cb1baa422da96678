"""Models that cannot work: refused before a pod takes an accelerator, on the real API server."""

from typing import Any

import pytest

from rerank_operator.api.meanings import MEANINGS
from rerank_operator.api.reasons import Reason
from tests.functional.world import World
from tests.produces import produces

ETTIN = "cross-encoder/ettin-reranker-150m-v1"
GTE = "Alibaba-NLP/gte-multilingual-reranker-base"
QWEN = "Qwen/Qwen3-Reranker-4B"
OLD_IMAGE = {"image": "vllm/vllm-openai:v0.12.0"}

# By reason: the model, the rest of the spec, and what the message names.
REFUSED: dict[Reason, tuple[str, dict[str, Any], tuple[str, ...]]] = {
    Reason.MODEL_REFUSED: (ETTIN, {}, (ETTIN, "head", "Alibaba-NLP/gte-reranker-modernbert-base")),
    Reason.ENGINE_TOO_OLD: (QWEN, {"engine": OLD_IMAGE}, (QWEN, "0.14.0", "0.12.0")),
    Reason.ACCELERATOR_TOO_SMALL: (QWEN, {"accelerator": {"memory": "8Gi"}}, (QWEN, "8Gi", "8192 tokens")),
    Reason.TRUST_REMOTE_CODE_REQUIRED: (GTE, {}, (GTE, "8215cf04918ba6f7b6a62bb44238ce2953d8831c")),
    Reason.INVALID_SPEC: (
        "BAAI/bge-reranker-base",
        {"engine": {"args": ["--runner", "generate"]}},
        ("--runner generate", "pooling"),
    ),
}


@produces(Reason.MODEL_REFUSED, Reason.ENGINE_TOO_OLD, Reason.ACCELERATOR_TOO_SMALL, by="API server")
@produces(Reason.TRUST_REMOTE_CODE_REQUIRED, by="API server")
@pytest.mark.parametrize("reason", REFUSED)
def test_what_cannot_work_is_refused_before_anything_is_created(world: World, reason: Reason) -> None:
    model, spec, seen = REFUSED[reason]
    world.reranker(model=model, **spec)

    world.wait_for_reason(reason.value)
    conditions = world.conditions()
    assert ("False", "True") == (conditions["Accepted"]["status"], conditions["Stalled"]["status"])
    message = conditions["Accepted"]["message"]
    assert [] == [word for word in seen if word not in message]
    assert message.endswith(MEANINGS[reason].remedy)
    assert [] == world.left_behind()

    world.reranker(model="model-a", engine={"guard": "Enabled"}, accelerator={"type": "NvidiaGPU"})
    world.wait_for_reason("Ready")


def test_a_change_to_a_refused_model_leaves_what_serves_as_it_is(world: World) -> None:
    world.reranker(model="model-a")
    world.wait_for_reason("Ready")
    before = [version for version in world.settle() if version[0] != "RerankService"]

    world.reranker(model=ETTIN)

    world.wait_for_reason(Reason.MODEL_REFUSED.value)
    assert before == [version for version in world.settle() if version[0] != "RerankService"]


def test_what_whoever_uses_a_model_should_know_is_in_the_condition_that_accepts_it(world: World) -> None:
    world.reranker(model="jinaai/jina-reranker-v2-base-multilingual")

    world.wait_for_reason("Ready")
    accepted = world.conditions()["Accepted"]
    assert "True" == accepted["status"]
    assert "CC-BY-NC-4.0 forbids commercial use" in accepted["message"]


def test_the_claim_that_keeps_a_download_is_created_once_and_goes_with_the_reranker(world: World) -> None:
    cache = {"size": "20Gi", "storageClassName": "fast"}
    world.reranker(model={"name": "model-a", "source": {"huggingFace": {"cache": cache}}})

    world.wait_for_reason("Ready")
    (claim,) = world.objects("persistentvolumeclaims")
    assert ("bge-models", "fast", ["ReadWriteOnce"], "20Gi") == (
        claim["metadata"]["name"],
        claim["spec"]["storageClassName"],
        claim["spec"]["accessModes"],
        claim["spec"]["resources"]["requests"]["storage"],
    )
    assert ["bge"] == [owner["name"] for owner in claim["metadata"]["ownerReferences"]]
    (pod,) = world.objects("pods")
    assert {"claimName": "bge-models"} in [volume.get("persistentVolumeClaim") for volume in pod["spec"]["volumes"]]


@produces(Reason.NAME_CONFLICT, by="API server")
def test_nothing_is_written_to_a_claim_of_somebody_else(world: World) -> None:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    foreign = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "bge-models"}, "spec": spec}
    world.apply(foreign)
    world.reranker(model={"name": "model-a", "source": {"huggingFace": {"cache": {"size": "20Gi"}}}})

    assert "PersistentVolumeClaim 'bge-models'" in world.wait_for_reason(Reason.NAME_CONFLICT)["message"]
    assert [] == world.left_behind()


def test_a_claim_that_is_retained_belongs_to_nobody(world: World) -> None:
    world.reranker(model={"name": "model-a", "source": {"huggingFace": {"cache": {"size": "20Gi", "retain": True}}}})

    world.wait_for_reason("Ready")
    (claim,) = world.objects("persistentvolumeclaims")
    assert "ownerReferences" not in claim["metadata"]
