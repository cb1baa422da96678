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
    "pod template": {"podTemplate": {"spec": {"hostIPC": True}}},
}
SHAPES_NO_POD: dict[str, dict[str, Any]] = {
    "replicas": {"replicas": 3},
    "port": {"service": {"port": 80}},
    "milvus": {"milvus": {"maxClientBatchSize": 1}},
    "publication": {"publish": {"configMapName": "x"}},
    "suspension": {"suspend": True},
    "a default that is written out": {"engine": {"guard": "Enabled"}, "accelerator": {"type": "NvidiaGPU"}},
}


@pytest.mark.parametrize("spec", SHAPES_A_POD.values(), ids=SHAPES_A_POD)
def test_what_shapes_a_pod_makes_another_revision(spec: dict[str, Any]) -> None:
    assert hash_of() != hash_of(**spec)


@pytest.mark.parametrize("spec", SHAPES_NO_POD.values(), ids=SHAPES_NO_POD)
def test_what_does_not_shape_a_pod_keeps_the_revision(spec: dict[str, Any]) -> None:
    assert hash_of() == hash_of(**spec)


def test_a_model_with_a_prompt_template_must_not_be_truncated() -> None:
    assert facts_of(a_revision()).truncation_safe
    assert not facts_of(a_revision(engine={"args": ["--chat-template", "/x.jinja"]})).truncation_safe
    assert not facts_of(a_revision(engine={"args": ["--chat-template=/x.jinja"]})).truncation_safe
