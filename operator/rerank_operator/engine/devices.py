"""Which accelerators a model pod gets, and what vLLM is told of them."""

from rerank_operator.api.v1alpha1 import RerankServiceSpec
from rerank_operator.catalog.accelerators import Platform, platform
from rerank_operator.engine.sizing import gib_of


def platform_of(spec: RerankServiceSpec) -> Platform:
    """What is known about the kind of accelerator that a spec asks for."""
    return platform(spec.accelerator.type)


def device_resource(spec: RerankServiceSpec) -> str | None:
    """Extended resource that a pod asks for; None on a CPU, and where claims bring the devices."""
    accelerator = spec.accelerator
    if accelerator.resource_name:
        return str(accelerator.resource_name)
    return None if accelerator.claims else platform_of(spec).resource


def gpu_count(spec: RerankServiceSpec) -> int:
    """Accelerators that a pod has to itself or shares with others; 0 on a CPU.

    Several parts of a device that is shared by time are still one device, with the memory of one.
    """
    accelerator = spec.accelerator
    if platform_of(spec).resource is None:
        return 0
    return 1 if is_shared(spec) else accelerator.count or 1


def is_shared(spec: RerankServiceSpec) -> bool:
    """Whether the device plugin hands the same device to several pods, which see all of it."""
    return str(spec.accelerator.resource_name or "").endswith(".shared")


def takes_gpu_memory(spec: RerankServiceSpec) -> bool:
    """Whether vLLM has to be told how much memory of a GPU to take."""
    return platform_of(spec).takes_memory_share


def card_gib(spec: RerankServiceSpec) -> float | None:
    """GiB of one accelerator; None where the spec does not say."""
    memory = spec.accelerator.memory
    return None if memory is None else gib_of(str(memory))
