"""Whether a spec can be acted on: what is known to fail is refused before an accelerator is taken for it."""

import re
from typing import TYPE_CHECKING, Final

from rerank_operator.api.reasons import Reason
from rerank_operator.api.v1alpha1 import RerankServiceSpec
from rerank_operator.catalog.entry import Entry, Kind, Level
from rerank_operator.engine import command, devices
from rerank_operator.engine.sizing import need_gib
from rerank_operator.engine.versions import Version, parse_version, version_of
from rerank_operator.resources.pod_template import template_refusals

if TYPE_CHECKING:
    from collections.abc import Callable

Refused = tuple[Reason, str]

# Runners and tasks of vLLM under which nothing reranks.
_OTHER_WORK: Final = re.compile(r"generate|draft|transcription|reward")
_FOREIGN_NAME: Final = re.compile(r"(gguf|onnx|mlx|openvino|exl2)([-_.].*)?$", re.IGNORECASE)


def refusal_of(spec: RerankServiceSpec, image: str) -> Refused | None:
    """Why the spec cannot work with the vLLM of `image`, with field, value and remedy; None where nothing is known."""
    if not (spec.engine.image or image):
        kind = spec.accelerator.type
        return Reason.INVALID_SPEC, f"accelerator.type is {kind}, for which the operator has no image: set engine.image"
    entry, version = command.entry_of(spec), version_of(spec.engine.image or image)
    checks: tuple[Callable[[RerankServiceSpec, Entry, Version | None], Refused | None], ...] = (
        _unknown_base,
        _refused_by_the_catalog,
        _foreign_format,
        _needs_its_code,
        _engine_too_old,
        _too_long,
        _contradicting_arguments,
        _template_breaks_a_promise,
        _accelerator_too_small,
    )
    return next(filter(None, (check(spec, entry, version) for check in checks)), None)


def warnings_of(spec: RerankServiceSpec) -> list[str]:
    """What whoever uses the model should know, as sentences."""
    entry, model = command.entry_of(spec), spec.model
    if not entry.is_known:
        return [f"{model.name} is not in the catalog: its files decide how it is served, the verification whether."]
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
    if spec.model.trust_remote_code and command.is_fetched(spec) and not command.model_revision(spec, entry):
        found.append("The model's code may change under you: pin model.revision to the commit that was read.")
    return found


def _unknown_base(spec: RerankServiceSpec, entry: Entry, _: Version | None) -> Refused | None:
    if spec.model.based_on is None or entry.is_known:
        return None
    detail = f"model.basedOn is {spec.model.based_on!r}, which the catalog does not have"
    return Reason.INVALID_SPEC, detail


def _refused_by_the_catalog(spec: RerankServiceSpec, entry: Entry, _: Version | None) -> Refused | None:
    if entry.refusal is None:
        return None
    instead = f" Models that work: {', '.join(entry.refusal.alternatives)}." if entry.refusal.alternatives else ""
    field = "model.name" if spec.model.based_on is None else "model.basedOn"
    return Reason.MODEL_REFUSED, f"{field} is {entry.id}. {entry.refusal.reason} {entry.refusal.remedy}{instead}"


def _foreign_format(spec: RerankServiceSpec, entry: Entry, _: Version | None) -> Refused | None:
    found = _FOREIGN_NAME.search(spec.model.name)
    if entry.is_known or found is None or not command.is_fetched(spec):
        return None
    original = spec.model.name[: found.start()].rstrip("-_.")
    detail = (
        f"model.name is {spec.model.name}: vLLM serves no reranker from {found[1]} files. Name the repository that it "
        f"was made from ({original.rpartition('/')[2]})"
    )
    return Reason.MODEL_REFUSED, detail


def _needs_its_code(spec: RerankServiceSpec, entry: Entry, _: Version | None) -> Refused | None:
    if not entry.trust_remote_code or spec.model.trust_remote_code:
        return None
    revision = entry.revision or "the commit that you read"
    detail = f"{entry.id} cannot be loaded without the Python code of its repository (the catalog read {revision})"
    return Reason.TRUST_REMOTE_CODE_REQUIRED, detail


def _engine_too_old(_: RerankServiceSpec, entry: Entry, version: Version | None) -> Refused | None:
    least, most = entry.engine.min, entry.engine.max
    if version is None or not (least or most):
        return None
    written = ".".join(map(str, version))
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


def _contradicting_arguments(spec: RerankServiceSpec, entry: Entry, _: Version | None) -> Refused | None:
    """Arguments that make vLLM do other work than reranking, or fail at its start."""
    args = spec.engine.args
    for flag in ("--runner", "--task", "--convert"):
        value = command.value_of(args, flag)
        if value and _OTHER_WORK.fullmatch(value):
            return Reason.INVALID_SPEC, f"engine.args holds {flag} {value}, and rerankers need the runner pooling"
    limit, batched = command.max_length(spec, entry), command.value_of(args, "--max-num-batched-tokens")
    is_encoder = entry.size is not None and not entry.size.kv_kib_per_token
    if is_encoder and limit and batched and batched.isdecimal() and int(batched) < limit:
        detail = (
            f"engine.args holds --max-num-batched-tokens {batched}, which is less than the {limit} tokens of a pair: "
            f"an encoder reads a pair at once. Set at least {limit}, or lower model.maxLength"
        )
        return Reason.INVALID_SPEC, detail
    share = command.value_of(args, "--gpu-memory-utilization")
    if share and not _is_share(share):
        return Reason.INVALID_SPEC, f"engine.args holds --gpu-memory-utilization {share}, which is a part from 0 to 1"
    return None


def _template_breaks_a_promise(spec: RerankServiceSpec, _: Entry, __: Version | None) -> Refused | None:
    found = template_refusals(spec)
    return (Reason.INVALID_SPEC, ". ".join(found)) if found else None


def _accelerator_too_small(spec: RerankServiceSpec, entry: Entry, _: Version | None) -> Refused | None:
    card, need = devices.card_gib(spec), need_gib(entry, command.max_length(spec, entry))
    if card is None or need is None or command.sets_memory(spec):
        return None
    there = card * max(1, devices.gpu_count(spec))
    if need <= there:
        return None
    detail = (
        f"{spec.model.name} needs about {need:g} GiB at {command.max_length(spec, entry)} tokens, and "
        f"accelerator.memory says {there:g} GiB"
    )
    return Reason.ACCELERATOR_TOO_SMALL, detail


def _is_share(text: str) -> bool:
    try:
        return 0 < float(text) <= 1
    except ValueError:
        return False
