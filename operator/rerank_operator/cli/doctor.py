"""`doctor`: what is wrong with one reranker, what to do about it, and how one can tell."""

import dataclasses
import time
from typing import TYPE_CHECKING, Any, Final

import typer

from rerank_operator.api.conditions import ConditionType
from rerank_operator.cli.cluster import (
    Context,
    Kubeconfig,
    Name,
    Namespace,
    ask_cluster,
    check_names,
    complaints,
    missing,
)
from rerank_operator.cli.evidence import MOST_EVENTS, Evidence, collect, event_time, revision_of
from rerank_operator.cli.output import RIGHT, WRONG, Format, Output, ago, columns, say, say_json
from rerank_operator.cli.standing import Standing, remedy_of, standing_of, words_of
from rerank_operator.controller.pods import Object, Pod
from rerank_operator.controller.times import rfc3339, seconds_of

if TYPE_CHECKING:
    from rerank_operator.clients.kube import KubeClient

# Conditions that are fine when they are False.
_BAD_WHEN_TRUE: Final = {ConditionType.PROGRESSING.value, ConditionType.STALLED.value}


def doctor(
    name: Name,
    *,
    namespace: Namespace = None,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    output: Format = Output.TEXT,
) -> None:
    """Say what is wrong with a reranker, what to do about it, and how one can tell. Changes nothing.

    Exit code: 0 Ready, 1 not Ready, 2 the cluster could not be asked, or has no such reranker.

    Example: PROGRAM doctor bge --namespace search
    """
    check_names(name, namespace)

    async def examine(kube: "KubeClient") -> Evidence:
        from rerank_operator.clients.kube import RERANKERS  # noqa: PLC0415 - takes most of a second to import

        place = namespace or kube.namespace
        resource = await kube.get(RERANKERS, place, name)
        if resource is None:
            raise await missing(kube, place, name)
        return await collect(kube, resource, time.time())

    with complaints():
        evidence = ask_cluster(examine, kubeconfig, context)
    report = build_report(evidence)
    if output is Output.JSON:
        say_json(report)
    else:
        _tell(report, evidence.at)
    raise typer.Exit(RIGHT if report["ready"] else WRONG)


def build_report(evidence: Evidence) -> dict[str, Any]:
    """Headline and evidence, with the keys that docs/cli.md promises."""
    metadata, status = evidence.resource["metadata"], evidence.resource.get("status") or {}
    fault = evidence.fault()
    told = standing_of(evidence.resource)
    standing = _more_telling(told, fault)
    return {
        "name": metadata["name"],
        "namespace": metadata["namespace"],
        "ready": standing.ready,
        "reason": standing.reason,
        "seen": standing.seen,
        "remedy": standing.remedy,
        "generation": metadata["generation"],
        "observedGeneration": status.get("observedGeneration"),
        "endpoint": status.get("endpoint"),
        "configMapName": status.get("configMapName"),
        "conditions": status.get("conditions", []),
        "progress": status.get("progress"),
        "verification": status.get("verification"),
        "podFault": None
        if fault is None
        else {"reason": fault[0].value, "seen": fault[1], "remedy": remedy_of(fault[0].value)},
        "pods": [_pod(pod) for pod in evidence.pods],
        "events": [_event(event) for event in evidence.events[-MOST_EVENTS:]],
        "log": _log(evidence),
        "unreadable": list(evidence.unreadable),
    }


def _more_telling(told: Standing, fault: tuple[Any, str] | None) -> Standing:
    """The operator's word, except where it only waits (or is away) and the pods themselves say why."""
    if told.ready or fault is None or (told.current and told.remedy):
        return told
    reason, seen = fault
    return dataclasses.replace(told, reason=reason.value, seen=seen, remedy=remedy_of(reason.value))


def _pod(obj: Object) -> dict[str, Any]:
    pod = Pod.of(obj)
    return {
        "name": pod.name,
        "revision": revision_of(obj),
        "phase": "Terminating" if pod.terminating else pod.status.get("phase", "Pending"),
        "ready": pod.ready,
        "restarts": pod.restarts,
        "node": obj.get("spec", {}).get("nodeName"),
        "state": _state(pod),
        "createdAt": rfc3339(pod.created),
    }


def _state(pod: Pod) -> str:
    """What the first container that does not run is in, else Running; as `kubectl get pods` says it."""
    if pod.unschedulable:
        return str(pod.unschedulable.get("reason", "Unschedulable"))
    containers = [*pod.status.get("initContainerStatuses", []), *pod.status.get("containerStatuses", [])]
    for container in containers:
        for kind, state in container.get("state", {}).items():
            ended_well = kind == "terminated" and state.get("reason") == "Completed"
            if kind != "running" and not ended_well:
                return str(state.get("reason", kind.capitalize()))
    return "Running" if containers else str(pod.status.get("reason", "Pending"))


def _event(event: Object) -> dict[str, Any]:
    about = event["involvedObject"]
    return {
        "at": rfc3339(event_time(event)),
        "type": event.get("type") or "",
        "reason": event.get("reason") or "",
        "about": f"{about.get('kind')}/{about.get('name')}",
        "message": event.get("message") or "",
        "count": (event.get("series") or {}).get("count") or event.get("count") or 1,
    }


def _log(evidence: Evidence) -> dict[str, Any] | None:
    log = next(iter(evidence.logs.values()), None)
    return None if log is None else {"pod": log.pod, "previous": log.previous, "lines": log.tail}


def _tell(report: dict[str, Any], at: float) -> None:
    name, namespace = report["name"], report["namespace"]
    verb = "is ready" if report["ready"] else "is not ready"
    say(f"{report['reason']}: reranker {name} in namespace {namespace} {verb}", "green" if report["ready"] else "red")
    say(f"  seen    {report['seen']}")
    if report["remedy"]:
        say(f"  remedy  {report['remedy']}")
    fault = report["podFault"]
    if fault and fault["reason"] != report["reason"]:
        say(f"  pods    {fault['reason']}: {fault['seen']}", "yellow")
    if progress := report["progress"]:
        detail = f": {progress['detail']}" if progress.get("detail") else ""
        say(f"  doing   {progress['step']}{detail}, for {_age(progress['since'], at)}")
    if report["endpoint"]:
        say(f"  serves  {report['endpoint']}, ConfigMap {report['configMapName']}")
    for title, lines in _sections(report, at):
        say()
        say(title, "bold")
        for line in lines:
            say(line)


def _sections(report: dict[str, Any], at: float) -> list[tuple[str, list[str]]]:
    sections = [("Conditions", columns([_condition_row(c, report["reason"], at) for c in report["conditions"]]))]
    if verification := report["verification"]:
        sections.append(("Verification", _verification_lines(verification)))
    if report["pods"]:
        header = ("NAME", "READY", "PHASE", "RESTARTS", "AGE", "NODE", "STATE")
        sections.append(("Pods", columns([header, *(_pod_row(pod, at) for pod in report["pods"])])))
    else:
        sections.append(("Pods", ["  none"]))
    if report["events"]:
        rows = [(_age(e["at"], at), e["type"], e["about"], f"{e['reason']}: {e['message']}") for e in report["events"]]
        sections.append(("Events, the newest last", columns(rows)))
    if log := report["log"]:
        run = ", of its previous run" if log["previous"] else ""
        sections.append((f"The last lines of the log of {log['pod']}{run}", [f"  {line}" for line in log["lines"]]))
    if report["unreadable"]:
        sections.append(("Not read", [f"  {said}" for said in report["unreadable"]]))
    return sections


def _condition_row(condition: Object, headline: str, at: float) -> tuple[str, ...]:
    kind, status, reason = condition["type"], condition["status"], condition["reason"]
    fine = status == ("False" if kind in _BAD_WHEN_TRUE else "True")
    seen = "" if fine or reason == headline else words_of(reason, condition.get("message", ""))[0]
    return kind, status, reason, _age(condition["lastTransitionTime"], at), seen


def _verification_lines(verification: Object) -> list[str]:
    lines = []
    if verification.get("scoreScale"):
        span = f"{verification.get('lowestScore')} to {verification.get('highestScore')}"
        lines.append(f"  scores {span}, {verification['scoreScale']}")
    if verification.get("overlongDocuments"):
        lines.append(f"  overlong documents {verification['overlongDocuments']}")
    rows: list[tuple[str, ...]] = []
    for pod in verification.get("pods", []):
        latency = pod.get("latencyMilliseconds")
        rows.append((pod["name"], "" if latency is None else f"{latency} ms", pod["reason"]))
    return lines + columns(rows)


def _pod_row(pod: dict[str, Any], at: float) -> tuple[str, ...]:
    ready = "yes" if pod["ready"] else "no"
    age = _age(pod["createdAt"], at)
    return pod["name"], ready, pod["phase"], str(pod["restarts"]), age, pod["node"] or "none", pod["state"]


def _age(time_: str, at: float) -> str:
    """How long ago; nothing for the time of conditions that nobody has set yet."""
    since = seconds_of(time_)
    return ago(at - since) if since else ""
