"""What makes another revision, and what does not."""

from typing import Any

import pytest

from rerank_operator.resources.revision import facts_of
from tests.builders import a_revision, hash_of

SHAPES_A_POD: dict[str, dict[str, Any]] = {
    "model": {"model": {"name": "BAAI/bge-reranker-base"}},
    "revision": {"model": {"name": "BAAI/bge-reranker-v2-m3", "revision": "abc"}},
    "image": {"engine": {"image": "other"}},
    "arguments": {"engine": {"args": ["--x"]}},
    "guard": {"engine": {"guard": "Disabled"}},
    "accelerator": {"accelerator": {"type": "CPU"}},
    "resources": {"resources": {"limits": {"memory": "1Gi"}}},
    "scheduling": {"scheduling": {"nodeSelector": {"a": "b"}}},
    "keys": {"access": {"bearerSecretRef": {"name": "callers"}}},
    "startup time": {"rollout": {"startupTimeoutSeconds": 60}},
    "cap": {"engine": {"maxDocuments": 5000}},
    "pod template": {"podTemplate": {"spec": {"hostIPC": True}}},
    "proxy": {"engine": {"proxy": {"https": "http://proxy.example.com:3128"}}},
    "certificates": {"engine": {"caBundle": {"configMapName": "company"}}},
    "variables of a ConfigMap": {"engine": {"envFrom": [{"configMapRef": {"name": "site"}}]}},
    "volume": {"engine": {"volumes": [{"name": "plugins", "emptyDir": {}}]}},
    "service account": {"engine": {"serviceAccountName": "rerankers"}},
}
SHAPES_NO_POD: dict[str, dict[str, Any]] = {
    "replicas": {"replicas": 3},
    "port": {"service": {"port": 80}},
    "milvus": {"milvus": {"maxClientBatchSize": 1}},
    "publication": {"publish": {"configMapName": "x"}},
    "strategy": {"rollout": {"strategy": "Recreate", "revisionHistoryLimit": 5, "recreateAfterSeconds": 1}},
    "autoscaling": {"autoscaling": {"maxReplicas": 3, "metrics": [{"type": "Resource"}]}},
    "credential": {"milvus": {"credentialName": "x"}},
    "suspension": {"suspend": True},
    "a default that is written out": {"engine": {"guard": "Enabled"}, "accelerator": {"type": "NvidiaGPU"}},
    "an empty list": {"engine": {"env": [], "envFrom": [], "volumes": [], "volumeMounts": []}},
}


@pytest.mark.parametrize("spec", SHAPES_A_POD.values(), ids=SHAPES_A_POD)
def test_what_shapes_a_pod_makes_another_revision(spec: dict[str, Any]) -> None:
    assert hash_of() != hash_of(**spec)


@pytest.mark.parametrize("spec", SHAPES_NO_POD.values(), ids=SHAPES_NO_POD)
def test_what_does_not_shape_a_pod_keeps_the_revision(spec: dict[str, Any]) -> None:
    assert hash_of() == hash_of(**spec)


def test_a_field_that_is_added_changes_no_revision_that_exists() -> None:
    assert ("aec638bc", "448a382a") == (hash_of(), hash_of(accelerator={"type": "CPU"}))


def test_a_model_with_a_prompt_template_must_not_be_truncated() -> None:
    assert facts_of(a_revision()).truncation_safe
    assert not facts_of(a_revision(engine={"args": ["--chat-template", "/x.jinja"]})).truncation_safe
    assert not facts_of(a_revision(engine={"args": ["--chat-template=/x.jinja"]})).truncation_safe


def test_facts_that_an_older_operator_did_not_store_are_what_was_true_then() -> None:
    stored = a_revision()
    for fact in ("max_documents", "bearer_secret", "startup_seconds"):
        del stored["data"]["facts"][fact]

    facts = facts_of(stored)
    assert (None, None, 3600) == (facts.max_documents, facts.bearer_secret, facts.startup_seconds)


def test_facts_of_a_newer_operator_are_left_out() -> None:
    stored = a_revision()
    stored["data"]["facts"]["colour"] = "blue"

    assert facts_of(a_revision()) == facts_of(stored)
