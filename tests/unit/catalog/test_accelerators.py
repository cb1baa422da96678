"""What vLLM runs on, as data."""

import pytest

from rerank_operator.api.v1alpha1 import AcceleratorType, Dtype
from rerank_operator.catalog.accelerators import Platform, platform, platforms

every_platform = pytest.mark.parametrize("known", platforms().values(), ids=lambda known: known.type)


def test_every_kind_of_the_api_is_known_and_no_other() -> None:
    assert set(AcceleratorType) == set(platforms())


def test_each_kind_has_its_own_setting_and_its_own_resource() -> None:
    settings = [known.image_setting for known in platforms().values()]
    resources = [known.resource for known in platforms().values()]

    assert sorted(set(settings)) == sorted(settings)
    assert len(set(resources)) == len(resources)


def test_only_a_cpu_takes_no_device() -> None:
    assert [AcceleratorType.CPU] == [known.type for known in platforms().values() if known.resource is None]


@every_platform
def test_a_fact_names_its_source(known: Platform) -> None:
    named = {"resource": known.resource, "image": known.image, "cacheVariable": known.cache_variable}
    given = {fact for fact, value in named.items() if value}
    given |= {fact for fact in ("environment", "arguments") if getattr(known, fact)}

    assert given <= set(known.sources)


@every_platform
def test_an_image_names_a_version_so_that_it_cannot_change_under_a_revision(known: Platform) -> None:
    assert not known.image or ":v0.32.0" in known.image


@every_platform
def test_what_nobody_has_run_is_marked(known: Platform) -> None:
    assert known.unverified or known.type in (AcceleratorType.NVIDIA_GPU, AcceleratorType.CPU)


def test_a_cpu_computes_in_float32_and_has_no_memory_of_its_own() -> None:
    cpu = platform(AcceleratorType.CPU)

    assert (Dtype.FLOAT32, ("--enforce-eager",)) == (cpu.dtype, cpu.arguments)
    assert (False, False, "VLLM_CPU_KVCACHE_SPACE") == (cpu.shards, cpu.takes_memory_share, cpu.cache_variable)


@pytest.mark.parametrize("kind", [AcceleratorType.GAUDI, AcceleratorType.TPU])
def test_vllm_gets_no_share_where_the_plugin_would_not_read_the_size_of_the_cache_beside_it(
    kind: AcceleratorType,
) -> None:
    assert not platform(kind).takes_memory_share
    assert "takesMemoryShare" in platform(kind).sources


@pytest.mark.parametrize(
    ("kind", "resource"),
    [
        (AcceleratorType.NVIDIA_GPU, "nvidia.com/gpu"),
        (AcceleratorType.NVIDIA_GPU, "nvidia.com/gpu.shared"),
        (AcceleratorType.NVIDIA_GPU, "nvidia.com/mig-1g.10gb"),
        (AcceleratorType.NVIDIA_GPU, "nvidia.com/mig-1g.10gb.shared"),
        (AcceleratorType.AMD_GPU, "amd.com/gpu"),
        (AcceleratorType.AMD_GPU, "amd.com/cpx_nps4"),
        (AcceleratorType.INTEL_GPU, "gpu.intel.com/i915"),
        (AcceleratorType.INTEL_GPU, "gpu.intel.com/xe"),
        (AcceleratorType.GAUDI, "habana.ai/gaudi"),
        (AcceleratorType.TPU, "google.com/tpu"),
    ],
)
def test_a_resource_belongs_to_the_kind_whose_device_plugin_offers_it(kind: AcceleratorType, resource: str) -> None:
    assert [kind] == [known.type for known in platforms().values() if known.is_offered_as(resource)]


@pytest.mark.parametrize(
    "resource", ["cpu", "memory", "nvidia.com/gpumem", "nvidia.com/rdma", "amd.com/nic", "example.com/gpu"]
)
def test_other_resources_are_no_accelerators(resource: str) -> None:
    assert [] == [known.type for known in platforms().values() if known.is_offered_as(resource)]
