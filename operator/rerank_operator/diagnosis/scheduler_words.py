"""What the scheduler says of a pod that fits nowhere (kube-scheduler 1.36: fit, affinity, taints, volumes, devices)."""

import re
from typing import Final

from rerank_operator.api.reasons import Reason
from rerank_operator.catalog.accelerators import platforms

# Stands among the resources that are missing for the devices of resource claims, which have no name there.
CLAIMED_DEVICES: Final = "devices for spec.accelerator.claims"
_INSUFFICIENT: Final = re.compile(r"Insufficient ([\w./-]+\w)")
_NO_CLASS: Final = re.compile(r"device class (\S+) does not exist")
_TAINT: Final = re.compile(r"untolerated taint(?:\(s\)| )\s*(\{[^}]*\})?")
_PREEMPTION: Final = re.compile(r"preemption: .*", re.DOTALL)


def read_unschedulable(message: str) -> tuple[Reason, str]:
    """The reason why no node takes the pod, in a sentence of ours and then in the scheduler's own words."""
    reason, sentence = _read(message)
    said = f"The scheduler says: {message}"
    return reason, f"{sentence}. {said}" if sentence else said


def missing_resources(message: str) -> frozenset[str]:
    """What the scheduler found too little of: names of resources, and CLAIMED_DEVICES."""
    claimed = {CLAIMED_DEVICES} if "cannot allocate all claims" in message else set()
    return frozenset(claimed.union(_INSUFFICIENT.findall(message)))


def _read(message: str) -> tuple[Reason, str]:
    lower = message.lower()
    if "persistentvolumeclaim" in lower or "persistent volume" in lower:
        return Reason.VOLUME_UNBOUND, ""
    short = sorted(missing_resources(message))
    if wanted := [resource for resource in short if _is_accelerator(resource)]:
        return Reason.ACCELERATOR_MISSING, _accelerator_sentence(wanted[0], message)
    if unknown := _NO_CLASS.search(message):
        return Reason.ACCELERATOR_MISSING, f"A claim asks for the DeviceClass {unknown[1]}, which does not exist"
    sentences = [f"No node has enough {' and '.join(short)} free"] if short else []
    if "volume node affinity conflict" in lower:
        sentences.append("The volume belongs to another node than those that could take the pod")
    if "didn't match pod's node affinity/selector" in lower:
        sentences.append("No node matches spec.scheduling.nodeSelector or its affinity")
    if taint := _TAINT.search(message):
        which = f" {taint[1]}" if taint[1] else ""
        sentences.append(f"Nodes have the taint{which} that spec.scheduling.tolerations does not tolerate")
    if "too many pods" in lower:
        sentences.append("The nodes have as many pods as they may")
    return Reason.UNSCHEDULABLE, "; ".join(sentences)


def _is_accelerator(resource: str) -> bool:
    return resource == CLAIMED_DEVICES or any(known.is_offered_as(resource) for known in platforms().values())


def _accelerator_sentence(resource: str, message: str) -> str:
    """Whether such accelerators are in use or not there: preemption can help only with those that somebody holds.

    Of the devices of claims preemption says the same in both cases.
    """
    if resource == CLAIMED_DEVICES:
        return "No node has free devices for spec.accelerator.claims"
    preemption = _PREEMPTION.search(message)
    if preemption and "No preemption victims found" in preemption[0]:
        return f"All {resource} are in use"
    if preemption and "Preemption is not helpful" in preemption[0]:
        return f"No node has that many {resource}"
    return f"No node has a free {resource}"
