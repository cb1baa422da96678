"""What the catalog says of a model, in words and as data. Pure."""

import re
from enum import StrEnum
from typing import Any, Final

from rerank_operator.api import names
from rerank_operator.api.v1alpha1 import RerankService
from rerank_operator.catalog.entry import Entry, Kind, Level, ScoreRange
from rerank_operator.engine.sizing import need_gib
from rerank_operator.resources.revision import EngineImages, build_revision, revision_hash

KINDS: Final = {
    Kind.CROSS_ENCODER: "a cross-encoder: it reads the query and a document together",
    Kind.LLM_CROSS_ENCODER: "a language model that answers for each document whether it is relevant",
    Kind.LISTWISE: "a listwise reranker: it reads all documents of a request in one prompt",
    Kind.LATE_INTERACTION: "a late-interaction model: it compares query and document word by word",
    Kind.BI_ENCODER: "an embedding model, not a reranker",
}
LEVELS: Final = {
    Level.VLLM_TESTED: "vLLM's own tests compare its scores",
    Level.DOCUMENTED: "vLLM or the author says how to serve it",
    Level.CONFIG_RESOLVES: "vLLM accepts its configuration, and nobody saw an answer",
    Level.UNVERIFIED: "nobody saw an answer of it in vLLM",
}
SCORES: Final = {
    ScoreRange.ZERO_TO_ONE: "between 0 and 1",
    ScoreRange.LOGITS: "logits: any number, so a fixed threshold means nothing",
    ScoreRange.COSINE: "cosines, between -1 and 1",
    ScoreRange.SUM: "sums, which grow with the query",
    ScoreRange.UNKNOWN: "not known",
}
_SEEN: Final = {Level.VLLM_TESTED, Level.DOCUMENTED}
# What a resource does not know before it is created; only the arguments of the engine are read here.
_OWNER: Final = {"apiVersion": names.API_VERSION, "kind": names.KIND, "metadata": {"name": "model", "uid": "none"}}
_MILLION: Final = 1_000_000


class Status(StrEnum):
    """Whether a model of the catalog is served."""

    SERVED = "served"
    #: Served, and the verification decides: nobody saw vLLM rank with it.
    UNVERIFIED = "unverified"
    REFUSED = "refused"


def status_of(entry: Entry) -> Status:
    """What becomes of a resource with this model."""
    if entry.refusal:
        return Status.REFUSED
    return Status.SERVED if entry.verified and entry.verified.level in _SEEN else Status.UNVERIFIED


def smallest_resource(entry: Entry) -> dict[str, Any]:
    """The resource that is enough to serve the model, called like the model."""
    model: dict[str, Any] = {"name": entry.id}
    if entry.trust_remote_code:
        model["trustRemoteCode"] = True
    word = re.sub(r"[^a-z0-9]+", "-", entry.id.rpartition("/")[2].lower())
    name = word.strip("-")[: names.MAX_NAME_LENGTH]
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {"name": name if name[:1].isalpha() else f"m-{name}"},
        "spec": {"model": model},
    }


def arguments_of(entry: Entry, images: EngineImages) -> list[str]:
    """How vLLM is started for the smallest resource; empty for a model that is refused."""
    if entry.refusal:
        return []
    reranker: RerankService = RerankService.model_validate(smallest_resource(entry))
    stored = build_revision(reranker, _OWNER, revision_hash(reranker.spec), images, number=1)
    containers = stored["data"]["template"]["spec"]["containers"]
    command: list[str] = next(c["command"] for c in containers if c["name"] == names.ENGINE_CONTAINER)
    return command


def build_report(entry: Entry, images: EngineImages) -> dict[str, Any]:
    """The entry as data, with the keys that docs/cli.md promises."""
    return {
        **entry.model_dump(mode="json", by_alias=True),
        "status": status_of(entry).value,
        "servedLength": entry.served_length,
        "needGib": need_of(entry),
        "arguments": arguments_of(entry, images),
    }


def facts(entry: Entry) -> list[tuple[str, str]]:
    """What is known, one line for each fact: its name, and what is said of it."""
    told = [
        ("status", _status(entry)),
        ("kind", KINDS[entry.kind]),
        ("licence", _licence(entry)),
        ("languages", languages(entry, len(entry.languages))),
        ("tokens", _tokens(entry)),
        ("memory", _memory(entry)),
        ("scores", SCORES[entry.scores]),
        ("documents", f"at most {entry.max_documents} in one request" if entry.max_documents else ""),
        ("truncation", "" if entry.truncation_safe else "never: what is cut off would be the end of the prompt"),
        ("template", f"{entry.template}, which the operator brings" if entry.template else ""),
        ("engine", versions(entry)),
        ("revision", entry.revision or ""),
        ("aliases", ", ".join(entry.aliases)),
        ("code", "runs Python from the model's repository: read it first" if entry.trust_remote_code else ""),
        ("warning", entry.warning),
        *_refusal(entry),
        ("sources", "; ".join(entry.sources)),
    ]
    return [(name, said) for name, said in told if said]


def languages(entry: Entry, most: int) -> str:
    """The first languages of a model, by code, and how many more there are."""
    codes = [language.value for language in entry.languages]
    shown = " ".join(codes[:most]) + (f" +{len(codes) - most}" if len(codes) > most else "")
    return ", ".join(part for part in (shown, entry.more_languages) if part)


def versions(entry: Entry) -> str:
    """Releases of vLLM that serve the model; empty where no limit is known."""
    least, most = entry.engine.min, entry.engine.max
    parts = [f"from {least}" if least else "", f"up to {most}" if most else ""]
    return f"vLLM {' '.join(part for part in parts if part)}" if least or most else ""


def need_of(entry: Entry) -> float | None:
    """GiB that a model pod needs of its accelerator; None where that is not known, or no pod is made."""
    return None if entry.refusal else need_gib(entry, entry.served_length)


def gib(need: float | None) -> str:
    """Memory for a table; a dash where it is not known."""
    return "-" if need is None else f"{need:.1f}"


def _status(entry: Entry) -> str:
    status = status_of(entry).value
    if entry.refusal or entry.verified is None:
        return status
    return f"{status}: {LEVELS[entry.verified.level]} ({entry.verified.date})"


def _licence(entry: Entry) -> str:
    licence = entry.licence
    if licence is None:
        return "not known: read the model's card"
    use = ", not for commercial use" if licence.non_commercial else ""
    return f"{licence.spdx}{use} ({licence.source}, {licence.as_of})"


def _tokens(entry: Entry) -> str:
    served = entry.served_length
    if served is None:
        return "" if entry.refusal else "what the model's own configuration says"
    more = f"; the model allows {entry.max_length}" if entry.max_length and entry.max_length > served else ""
    return f"{served} for a query and a document together{more}"


def _memory(entry: Entry) -> str:
    size = entry.size
    if size is None:
        return ""
    need = need_of(entry)
    about = "" if need is None else f"about {need:.1f} GiB of the accelerator; "
    return (
        f"{about}{size.parameters / _MILLION:.0f} million parameters, {size.weights_gib:g} GiB at 16 bit, "
        f"{size.disk_gib:g} GiB to download"
    )


def _refusal(entry: Entry) -> list[tuple[str, str]]:
    refusal = entry.refusal
    if refusal is None:
        return []
    return [("refused", refusal.reason), ("remedy", refusal.remedy), ("instead", ", ".join(refusal.alternatives))]
