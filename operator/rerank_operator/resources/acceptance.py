"""Whether a spec can be acted on: what is known to fail is refused before an accelerator is taken for it."""

import difflib
import math
import re
from typing import TYPE_CHECKING, Final

from rerank_operator.api.reasons import Reason
from rerank_operator.api.v1alpha1 import AcceleratorType, RerankServiceSpec
from rerank_operator.catalog.entry import Entry, Kind, Level
from rerank_operator.catalog.models import entries
from rerank_operator.engine import command, devices
from rerank_operator.engine.sizing import gib_of
from rerank_operator.engine.versions import OLDEST, Version, parse_version, version_of
from rerank_operator.resources.engine_settings import engine_refusals
from rerank_operator.resources.pod_template import template_refusals

if TYPE_CHECKING:
    from collections.abc import Callable

Refused = tuple[Reason, str]

# Formats that vLLM reads no reranker from, as a word of a repository's name.
_FOREIGN_NAME: Final = re.compile(r"(?:^|[-_./])(gguf|onnx|mlx|openvino|exl[23])(?=$|[-_./])", re.IGNORECASE)
_COMMIT: Final = re.compile("[0-9a-f]{40}")
# Beside the weights a CPU holds the programs, and the numbers of a batch.
_CPU_WORKSPACE_GIB: Final = 4


def refusal_of(spec: RerankServiceSpec, image: str) -> Refused | None:
    """Why the spec cannot work with the vLLM of `image`, with field, value and remedy; None where nothing is known."""
    if not (spec.engine.image or image):
        kind = spec.accelerator.type
        return Reason.INVALID_SPEC, f"accelerator.type is {kind}, for which the operator has no image: set engine.image"
    entry, version = command.entry_of(spec), _release_in(spec.engine.image or image)
    checks: tuple[Callable[[RerankServiceSpec, Entry, Version | None], Refused | None], ...] = (
        _unknown_base,
        _refused_by_the_catalog,
        _foreign_format,
        _needs_its_code,
        _engine_too_old,
        _too_long,
        _engine_settings,
        _template_breaks_a_promise,
        _accelerator_too_small,
        _memory_limit_too_small,
        _cache_too_small,
    )
    return next(filter(None, (check(spec, entry, version) for check in checks)), None)


def warnings_of(spec: RerankServiceSpec) -> list[str]:
    """What whoever uses the model should know, as sentences."""
    entry, model = command.entry_of(spec), spec.model
    if spec.external and not entry.is_known:
        return []  # whoever runs it decided how it is served
    if not entry.is_known:
        said = f"{model.name} is not in the catalog: its files decide how it is served, the verification whether."
        return [said, *_unpinned(spec, entry)]
    found = [entry.warning] if entry.warning else []
    if entry.licence and entry.licence.non_commercial:
        found.append(
            f"The licence {entry.licence.spdx} forbids commercial use (read {entry.licence.as_of} in the "
            f"{entry.licence.source})."
        )
    if entry.verified and entry.verified.level in (Level.UNVERIFIED, Level.CONFIG_RESOLVES):
        found.append(f"Nobody is known to have served {entry.id} with vLLM: the verification decides.")
    if entry.kind is Kind.BI_ENCODER and not entry.warning:
        found.append(f"{entry.id} is an embedding model, not a reranker.")
    if spec.milvus.truncate_prompt_tokens is not None and not command.is_truncation_safe(spec, entry):
        found.append(
            "milvus.truncatePromptTokens cuts off the end of a long prompt, where the model is told to judge: such "
            "documents get scores that mean nothing. Remove it."
        )
    return [*found, *_unpinned(spec, entry)]


def _unpinned(spec: RerankServiceSpec, entry: Entry) -> list[str]:
    if spec.external:
        return []
    if not command.is_fetched(spec):
        # Its config names another repository for its code, and what is on a volume is served offline.
        missing = "The model's code is in a repository of its own, which may be missing beside the model: "
        is_apart = spec.model.trust_remote_code and entry.code_revision
        return [f"{missing}engine.env HF_HUB_OFFLINE 0 lets the engine fetch it."] if is_apart else []
    if _COMMIT.fullmatch(command.model_revision(spec, entry) or ""):
        return []
    if spec.model.trust_remote_code:
        return ["The model's code may change under you: pin model.revision to the commit that was read."]
    return ["A pod that starts later may fetch another commit of the model: pin model.revision to a commit."]


def _release_in(image: str) -> Version | None:
    """The release of vLLM in an image; a number before the oldest is somebody's own, unless the name says vLLM."""
    version = version_of(image)
    is_own = version is not None and version < OLDEST and "vllm" not in image
    return None if is_own else version


def _unknown_base(spec: RerankServiceSpec, entry: Entry, _: Version | None) -> Refused | None:
    if spec.model.based_on is None or entry.is_known:
        return None
    close = difflib.get_close_matches(spec.model.based_on, [known.id for known in entries()], n=1)
    detail = (
        f"model.basedOn is {spec.model.based_on!r}, which the catalog does not have: name one of those that "
        f"`rerank-operator catalog` lists{f', such as {close[0]}' if close else ''}"
    )
    return Reason.INVALID_SPEC, detail


def _refused_by_the_catalog(spec: RerankServiceSpec, entry: Entry, _: Version | None) -> Refused | None:
    if entry.refusal is None:
        return None
    instead = f" Models that work: {', '.join(entry.refusal.alternatives)}." if entry.refusal.alternatives else ""
    given = f"model.basedOn is {spec.model.based_on}" if spec.model.based_on else f"model.name is {spec.model.name}"
    return Reason.MODEL_REFUSED, f"{given}. {entry.refusal.reason} {entry.refusal.remedy}{instead}"


def _foreign_format(spec: RerankServiceSpec, _: Entry, __: Version | None) -> Refused | None:
    name = spec.model.name
    found = _FOREIGN_NAME.search(name)
    if found is None or not command.is_fetched(spec):
        return None
    known = [
        entry.id for entry in entries() if not entry.refusal and entry.id.rpartition("/")[2].lower() in name.lower()
    ]
    original = f" ({max(known, key=len)})" if known else ""
    detail = (
        f"model.name is {name}: vLLM serves no reranker from {found[1]} files. Name the repository that it was made "
        f"from{original}"
    )
    return Reason.MODEL_REFUSED, detail


def _needs_its_code(spec: RerankServiceSpec, entry: Entry, _: Version | None) -> Refused | None:
    if not entry.trust_remote_code or spec.model.trust_remote_code:
        return None
    read = f" (the catalog knows the commit {entry.revision})" if entry.revision else ""
    detail = f"{entry.id} cannot be loaded without Python code that comes with it{read}"
    return Reason.TRUST_REMOTE_CODE_REQUIRED, detail


def _engine_too_old(_: RerankServiceSpec, entry: Entry, version: Version | None) -> Refused | None:
    least, most = entry.engine.min, entry.engine.max
    if version is None:
        return None
    written = ".".join(map(str, version))
    if version < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        return Reason.ENGINE_TOO_OLD, f"The operator needs vLLM {oldest} or newer, and the image has {written}"
    if least and version < parse_version(least):
        return Reason.ENGINE_TOO_OLD, f"{entry.id} needs vLLM {least} or newer, and the image has {written}"
    if most and version > parse_version(most):
        return Reason.ENGINE_TOO_OLD, f"vLLM {most} is the last that serves {entry.id}, and the image has {written}"
    return None


def _too_long(spec: RerankServiceSpec, entry: Entry, _: Version | None) -> Refused | None:
    if spec.model.max_length is None or entry.max_length is None or spec.model.max_length <= entry.max_length:
        return None
    detail = f"model.maxLength is {spec.model.max_length}, and {entry.id} takes at most {entry.max_length} tokens"
    return Reason.INVALID_SPEC, detail


def _engine_settings(spec: RerankServiceSpec, entry: Entry, _: Version | None) -> Refused | None:
    found = next(engine_refusals(spec, entry), None)
    return (Reason.INVALID_SPEC, found) if found else None


def _template_breaks_a_promise(spec: RerankServiceSpec, _: Entry, __: Version | None) -> Refused | None:
    found = template_refusals(spec)
    return (Reason.INVALID_SPEC, ". ".join(found)) if found else None


def _accelerator_too_small(spec: RerankServiceSpec, entry: Entry, _: Version | None) -> Refused | None:
    """Not even one pair of full length finds room. Who gives the memory as arguments of vLLM knows better."""
    card, demand = devices.card_gib(spec), command.demand(spec, entry)
    is_quantised = command.gives(spec.engine.args, "--quantization") or "-q" in spec.engine.args
    if card is None or demand is None or demand.least <= card or command.sets_memory(spec) or is_quantised:
        return None
    count = devices.gpu_count(spec)
    detail = (
        f"{spec.model.name} needs about {demand.least:.1f} GiB of {'each accelerator' if count > 1 else 'memory'} at "
        f"{command.max_length(spec, entry)} tokens, and accelerator.memory is {spec.accelerator.memory}"
    )
    if spec.model.based_on:
        detail += (
            f". The figures are those of {entry.id}; for smaller files give --gpu-memory-utilization in engine.args"
        )
    return Reason.ACCELERATOR_TOO_SMALL, detail


def _memory_limit_too_small(spec: RerankServiceSpec, entry: Entry, _: Version | None) -> Refused | None:
    """On a CPU the weights lie in the memory of the pod."""
    limit, demand = _gib_or_none(spec.resources.limits.get("memory")), command.demand(spec, entry)
    if spec.accelerator.type is not AcceleratorType.CPU or limit is None or demand is None or demand.weights <= limit:
        return None
    detail = (
        f"resources.limits.memory is {spec.resources.limits['memory']}, and the weights of {entry.id} alone take "
        f"{demand.weights:.1f} GiB as {command.dtype(spec)}. Set at least "
        f"{math.ceil(demand.weights + demand.pair) + _CPU_WORKSPACE_GIB}Gi"
    )
    return Reason.INVALID_SPEC, detail


def _cache_too_small(spec: RerankServiceSpec, entry: Entry, _: Version | None) -> Refused | None:
    cache = command.cache(spec)
    room = _gib_or_none(cache.size) if cache else None
    # A model that was made from this one may have smaller files.
    if cache is None or room is None or entry.size is None or spec.model.based_on or entry.size.disk_gib <= room:
        return None
    detail = (
        f"model.source.huggingFace.cache.size is {cache.size}, and the files of {entry.id} take "
        f"{entry.size.disk_gib:.1f} GiB. Set at least {math.ceil(entry.size.disk_gib) + 1}Gi"
    )
    return Reason.INVALID_SPEC, detail


def _gib_or_none(quantity: object) -> float | None:
    """GiB of a quantity; None where there is none, or one that only an API server reads."""
    try:
        return None if quantity is None else gib_of(str(quantity))
    except ValueError:
        return None
