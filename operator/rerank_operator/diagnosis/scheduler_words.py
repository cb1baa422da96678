"""What the scheduler says of a pod that fits nowhere (kube-scheduler 1.36: fit, node affinity, taints, volumes)."""

import re
from typing import Final

from rerank_operator.api.reasons import Reason

_INSUFFICIENT: Final = re.compile(r"Insufficient ([\w./-]+\w)")
# Extended resources of the device plugins of accelerators.
_ACCELERATOR: Final = re.compile(r"^([\w.-]*nvidia\.com/(gpu|mig-.+)|amd\.com/gpu|gpu\.intel\.com/.+|google\.com/tpu)")
_TAINT: Final = re.compile(r"untolerated taint(?:\(s\)| )\s*(\{[^}]*\})?")
_PREEMPTION: Final = re.compile(r"preemption: .*", re.DOTALL)


def read_unschedulable(message: str) -> tuple[Reason, str]:
    """The reason why no node takes the pod, in a sentence of ours and then in the scheduler's own words."""
    reason, sentence = _read(message)
    said = f"The scheduler says: {message}"
    return reason, f"{sentence}. {said}" if sentence else said


def _read(message: str) -> tuple[Reason, str]:
    lower = message.lower()
    if "persistentvolumeclaim" in lower or "persistent volume" in lower:
        return Reason.VOLUME_UNBOUND, ""
    short = sorted(set(_INSUFFICIENT.findall(message)))
    if wanted := [resource for resource in short if _ACCELERATOR.match(resource)]:
        return Reason.ACCELERATOR_MISSING, _accelerator_sentence(wanted[0], message)
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


def _accelerator_sentence(resource: str, message: str) -> str:
    """Whether such accelerators are in use or not there: preemption can help only with those that somebody holds."""
    preemption = _PREEMPTION.search(message)
    if preemption and "No preemption victims found" in preemption[0]:
        return f"All {resource} are in use"
    if preemption and "Preemption is not helpful" in preemption[0]:
        return f"No node has that many {resource}"
    return f"No node has a free {resource}"
