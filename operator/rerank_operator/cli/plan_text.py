"""A plan in words."""

from typing import Any, Final

from rerank_operator.api import names
from rerank_operator.cli.output import columns, complain, note, say

_STYLES: Final = {"create": "green", "change": "yellow", "delete": "red", "conflict": "red", "refused": "red"}
_ORDER: Final = ("conflict", "create", "change", "delete", "unchanged")


def tell(report: dict[str, Any]) -> None:
    """Print the report of one resource; what is wrong goes to standard error."""
    name = f"{names.KIND} {report['name']} in namespace {report['namespace']}"
    for warning in report["warnings"]:
        note(f"{name}: {warning}")
    if refused := report["refused"]:
        complain(f"{name} is refused: {refused['reason']}: {refused['seen']}")
        complain(f"  remedy  {refused['remedy']}")
        return
    say(f"{report['action']}: {name}", _STYLES.get(report["action"], ""))
    for line in columns(_facts(report)):
        say(line)
    _tell_diff(report["diff"])
    children = sorted(report["children"], key=lambda child: _ORDER.index(child["action"]))
    say()
    for line, child in zip(columns([_row(child) for child in children], indent=0), children, strict=True):
        say(line, _STYLES.get(child["action"], ""))
        _tell_diff(child["diff"])
    say()


def _tell_diff(lines: list[str]) -> None:
    styles = {"+": "green", "-": "red"}
    for line in lines:
        say(f"    {line}", styles.get(line[:1], ""))


def _row(child: dict[str, Any]) -> tuple[str, str, str]:
    said = f", in place of {child['replaces']}" if child["replaces"] else ""
    if child["action"] == "conflict":
        said = ": it exists and is somebody else's; the operator would leave it alone and publish nothing"
    return child["action"], child["kind"], f"{child['name']}{said}"


def _facts(report: dict[str, Any]) -> list[tuple[str, str]]:
    accelerators = report["accelerators"]
    return [
        ("revision", _revision(report["revision"])),
        ("pods", _pods(report["pods"], is_first=report["revision"]["before"] is None)),
        *[("accelerator", said) for said in _accelerators(accelerators)],
        ("memory", _memory(report["memory"])),
    ]


def _revision(revision: dict[str, Any]) -> str:
    before, after = revision["before"], revision["after"]
    if before == after:
        return f"{after}, as before"
    return f"{before} -> {after}" if before else f"{after}, the first"


def _pods(pods: dict[str, Any], *, is_first: bool) -> str:
    before, after = pods["before"], pods["after"]
    if is_first:
        return f"{_count(after)} to start"
    if pods["restart"]:
        return (
            f"{_count(after)} of the new revision start{'s' if after == 1 else ''} {pods['how']} ({pods['strategy']})"
        )
    if before == after:
        return f"{_count(after)}, of which none restarts"
    return f"{before} -> {after}; none restarts"


def _count(pods: int) -> str:
    return f"{pods} model pod{'' if pods == 1 else 's'}"


def _accelerators(found: dict[str, Any]) -> list[str]:
    if not found["perPod"] and not found["claims"]:
        return ["none is asked for"]
    said = [f"claim {claim}: what is free is not known" for claim in found["claims"]]
    if found["unknown"]:
        asked = (f"{count} {resource} for each pod" for resource, count in found["perPod"].items())
        return [*said, *(f"{each}; what is free is not known: {found['unknown']}" for each in asked)]
    return [*said, *(_room(room, found["perPod"][room["resource"]], found["newPods"]) for room in found["rooms"])]


def _room(room: dict[str, Any], per_pod: int, new_pods: int) -> str:
    nodes = f"{room['nodes']} node{'' if room['nodes'] == 1 else 's'}"
    there = f"{room['allocatable']} on {nodes}, {room['free']} free" if room["nodes"] else "no node for it has any"
    own = f", {room['own']} held by this reranker" if room["own"] else ""
    tainted = f", {room['tainted']} more behind taints that the pod does not tolerate" if room["tainted"] else ""
    return f"{per_pod} {room['resource']} for each pod; {there}{own}{tainted}: {_verdict(room, new_pods)}"


def _verdict(room: dict[str, Any], new_pods: int) -> str:
    fits = room["podsThatFit"]
    if not new_pods:
        return "no new pod needs one"
    if fits >= new_pods:
        return f"{_count(new_pods)} fit{'s' if new_pods == 1 else ''} now"
    beside = ", and the rest when the old ones are gone" if room["own"] else ""
    return f"{fits} of {_count(new_pods)} fit now{beside}"


def _memory(memory: dict[str, Any]) -> str:
    need, given = memory["needGib"], memory["givenGib"]
    needed = "not known for this model" if need is None else f"about {need:.1f} GiB needed"
    return needed if given is None else f"{needed} of the {given:g} GiB that spec.accelerator.memory says"
