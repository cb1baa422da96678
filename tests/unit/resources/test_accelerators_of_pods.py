"""The pod on each kind of accelerator: resource, image, environment, arguments; and specs without an image."""

from typing import Any

import pytest

from rerank_operator.api.reasons import Reason
from rerank_operator.api.v1alpha1 import AcceleratorType
from rerank_operator.resources.acceptance import refusal_of
from rerank_operator.resources.revision import EngineImages
from tests.builders import IMAGES, a_reranker, a_revision, hash_of

LLM = {"name": "Qwen/Qwen3-Reranker-0.6B"}
# What a reranker on an NVIDIA GPU was before there were other kinds: what runs must not restart.
OLD_HASHES: dict[str, dict[str, Any]] = {
    "aec638bc": {},
    "448a382a": {"accelerator": {"type": "CPU"}},
    "18f0949e": {"accelerator": {"count": 2}},
}


def engine(model: Any = None, **accelerator: Any) -> dict[str, Any]:
    """The engine's container in the stored revision of a reranker on this accelerator."""
    given: dict[str, Any] = {"accelerator": accelerator, **({"model": model} if model else {})}
    first: dict[str, Any] = a_revision(**given)["data"]["template"]["spec"]["containers"][0]
    return first


def flags(**accelerator: Any) -> str:
    return " ".join(engine(**accelerator)["command"])


@pytest.mark.parametrize(
    ("kind", "limits", "image"),
    [
        ("NvidiaGPU", {"nvidia.com/gpu": "1"}, "vllm/vllm-openai:v0.32.0"),
        ("AMDGPU", {"amd.com/gpu": "1"}, "vllm/vllm-openai-rocm:v0.32.0"),
        ("IntelGPU", {"gpu.intel.com/xe": "1"}, "vllm/vllm-openai-xpu:v0.32.0"),
        ("Gaudi", {"habana.ai/gaudi": "1"}, ""),
        ("TPU", {"google.com/tpu": "1"}, ""),
        ("CPU", None, "vllm/vllm-openai-cpu:v0.32.0-x86_64"),
    ],
)
def test_each_kind_has_its_resource_and_its_image(kind: str, limits: dict[str, str] | None, image: str) -> None:
    container = engine(type=kind)

    assert (limits, image) == (container["resources"].get("limits"), container["image"])


@pytest.mark.parametrize("kind", ["NvidiaGPU", "AMDGPU", "IntelGPU"])
def test_a_gpu_gives_vllm_a_share_and_a_size_for_its_cache(kind: str) -> None:
    told = flags(type=kind, model=LLM)

    assert "--gpu-memory-utilization 0.10" in told
    assert "--kv-cache-memory-bytes" in told


@pytest.mark.parametrize("kind", ["Gaudi", "TPU", "CPU"])
def test_other_kinds_are_told_nothing_of_the_memory_of_a_gpu(kind: str) -> None:
    told = flags(type=kind, model=LLM)

    assert "--gpu-memory-utilization" not in told
    assert "--kv-cache-memory-bytes" not in told


def test_variables_of_a_kind_are_set_for_it_alone() -> None:
    def variables(kind: str) -> set[str]:
        special = {"VLLM_CPU_KVCACHE_SPACE", "OMPI_MCA_btl_vader_single_copy_mechanism"}
        return special & {variable["name"] for variable in engine(type=kind)["env"]}

    assert {"VLLM_CPU_KVCACHE_SPACE"} == variables("CPU")
    assert {"OMPI_MCA_btl_vader_single_copy_mechanism"} == variables("Gaudi")
    assert set() == variables("NvidiaGPU") == variables("TPU")


def test_only_a_cpu_computes_in_float32_and_without_compiling() -> None:
    for kind in AcceleratorType:
        is_cpu = kind is AcceleratorType.CPU
        assert (is_cpu, is_cpu) == ("--dtype float32" in flags(type=kind), "--enforce-eager" in flags(type=kind))


@pytest.mark.parametrize("kind", ["NvidiaGPU", "AMDGPU", "IntelGPU", "Gaudi", "TPU"])
def test_several_whole_devices_shard_the_model(kind: str) -> None:
    assert "--tensor-parallel-size 4" in flags(type=kind, count=4)
    assert "--tensor-parallel-size" not in flags(type=kind)


@pytest.mark.parametrize(
    "resource", ["nvidia.com/gpu.shared", "nvidia.com/mig-1g.10gb", "nvidia.com/mig-1g.10gb.shared"]
)
def test_a_part_of_a_gpu_is_one_device(resource: str) -> None:
    assert {"limits": {resource: "1"}} == engine(resourceName=resource)["resources"]
    assert "--tensor-parallel-size" not in flags(resourceName=resource)


def test_the_memory_of_a_shared_gpu_is_that_of_one() -> None:
    spec = a_reranker(
        model={"name": "Qwen/Qwen3-Reranker-8B"},
        accelerator={"resourceName": "nvidia.com/gpu.shared", "count": 2, "memory": "12Gi"},
    ).spec
    refused = refusal_of(spec, IMAGES.of(spec))

    assert refused is not None
    assert Reason.ACCELERATOR_TOO_SMALL is refused[0]


def test_an_accelerator_without_an_image_is_refused_until_one_is_named() -> None:
    bare = a_reranker(accelerator={"type": "TPU"}).spec
    named = a_reranker(accelerator={"type": "TPU"}, engine={"image": "mine:v0.32.0"}).spec

    detail = "accelerator.type is TPU, for which the operator has no image: set engine.image"
    assert (Reason.INVALID_SPEC, detail) == refusal_of(bare, IMAGES.of(bare))
    assert None is refusal_of(named, IMAGES.of(named))
    assert None is refusal_of(bare, EngineImages({AcceleratorType.TPU: "mine:v0.32.0"}).of(bare))


@pytest.mark.parametrize("known", OLD_HASHES)
def test_a_spec_from_before_the_other_kinds_is_the_same_revision(known: str) -> None:
    assert known == hash_of(**OLD_HASHES[known])
