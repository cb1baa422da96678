"""What is published in further places, copies in other namespaces and the Secret for Service Binding. Pure."""

from collections.abc import Mapping, Sequence

from rerank_operator.api import names
from rerank_operator.api.conditions import Condition, ConditionType
from rerank_operator.api.reasons import Reason
from rerank_operator.controller.decisions import Sharing
from rerank_operator.controller.pods import Object
from rerank_operator.controller.values import Fault
from rerank_operator.resources.drift import is_drifted
from rerank_operator.resources.publication_copy import build_copy


def plan_copies(
    publication: Object | None,
    copies: Sequence[Object],
    stands: Mapping[str, Fault | None],
    wanted: Sequence[str],
    source: str,
) -> Sharing:
    """Copies to write, and those to delete that are wanted no more.

    `stands` says of a namespace why it takes none, None where it does. What a namespace holds that takes none is left
    alone here: `plan_withdrawals` says what becomes of it. Without a publication nothing is written, and what is
    there stays.
    """
    takers = [name for name in dict.fromkeys(wanted) if name != source and name in stands and stands[name] is None]
    refusals = {
        f"namespace {name}": fault for name in wanted if (fault := stands.get(name)) is not None and name != source
    }
    unwanted = tuple(copy for copy in copies if copy["metadata"]["namespace"] not in wanted)
    if publication is None:
        return Sharing(delete=unwanted, faults=refusals)
    held = [copy for copy in copies if copy["metadata"]["namespace"] in takers]
    current = {
        copy["metadata"]["namespace"]: copy
        for copy in held
        if copy["metadata"]["name"] == publication["metadata"]["name"]
    }
    former = tuple(copy for copy in held if copy not in current.values())
    ours = {name: build_copy(publication, name) for name in takers}
    return Sharing(
        create=tuple(copy for name, copy in ours.items() if name not in current),
        update=tuple(
            over(copy, current[name]) for name, copy in ours.items() if name in current and differs(copy, current[name])
        ),
        delete=(*unwanted, *former),
        faults=refusals,
    )


def plan_withdrawals(copies: Sequence[Object], stands: Mapping[str, Fault | None]) -> Sharing:
    """Delete the copies of namespaces that agree no more: that holds whatever is wrong with the reranker.

    A namespace that is not watched, or may not be read, has not said so; one that is gone has taken its copy along.
    """
    withdrawn = {place for place, fault in stands.items() if fault and fault[0] is Reason.NAMESPACE_NOT_OPTED_IN}
    return Sharing(delete=tuple(copy for copy in copies if copy["metadata"]["namespace"] in withdrawn))


def plan_binding(wanted: Object | None, live: Object | None, *, is_wanted: bool) -> Sharing:
    """The Secret for Service Binding; `wanted` None while nothing is published leaves it as it is."""
    if not is_wanted:
        return Sharing(delete=() if live is None else (live,))
    if wanted is None:
        return Sharing()
    if live is None:
        return Sharing(create=(wanted,))
    return Sharing(update=(over(wanted, live),) if differs(wanted, live) else ())


def binding_after(sharing: Sharing, faults: Mapping[str, Fault], before: Object | None) -> Object | None:
    """The Secret for Service Binding once that was carried out."""
    written = next((obj for obj in (*sharing.create, *sharing.update) if obj["kind"] == "Secret"), None)
    if written is not None:
        return before if place_of(written) in faults else written
    return None if any(obj["kind"] == "Secret" for obj in sharing.delete) else before


def together(first: Sharing, second: Sharing) -> Sharing:
    """Both."""
    return Sharing(
        create=(*first.create, *second.create),
        update=(*first.update, *second.update),
        delete=(*first.delete, *second.delete),
        faults={**first.faults, **second.faults},
    )


def plan_removal(copies: Sequence[Object]) -> Sharing:
    """A reranker that is gone leaves no copy."""
    return Sharing(delete=tuple(copies))


def is_copy(obj: Object) -> bool:
    """Whether an object is a copy of a publication."""
    return bool(obj["metadata"].get("labels", {}).get(names.LABEL_ROLE) == names.ROLE_COPY)


def place_of(obj: Object) -> str:
    """In which place something is published, as the faults name it."""
    metadata = obj["metadata"]
    return f"Secret {metadata['name']}" if obj["kind"] == "Secret" else f"namespace {metadata['namespace']}"


def copies_condition(faults: Mapping[str, Fault], shared: Sequence[str], missing: Sequence[str] = ()) -> Condition:
    """Whether every wanted place holds what is published; the first fault gives the reason, and all are told.

    `shared` are namespaces with a copy, `missing` are places that hold nothing yet, though nothing is wrong.
    """
    kind = ConditionType.COPIES_PUBLISHED
    if faults:
        detail = "; ".join(f"{place}: {detail or reason}" for place, (reason, detail) in faults.items())
        return Condition(kind, "False", next(iter(faults.values()))[0], detail)
    if missing:
        return Condition(kind, "Unknown", Reason.WAITING_FOR_VERIFICATION, f"Nothing is yet in {', '.join(missing)}")
    return Condition(kind, "True", Reason.COPIES_PUBLISHED, f"Copies are in {', '.join(shared)}" if shared else "")


def differs(ours: Object, live: Object) -> bool:
    """Whether a copy says anything else than it should, also more."""
    return is_drifted(ours, live) or live.get("data") != ours["data"]


def over(ours: Object, live: Object) -> Object:
    """With the uid of what is there, so that an object which has taken its place since is never written to."""
    return {**ours, "metadata": {**ours["metadata"], "uid": live["metadata"]["uid"]}}
