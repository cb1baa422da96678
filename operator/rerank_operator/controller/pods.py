"""What decisions depend on of a model pod, and what Events say about it."""

import dataclasses
from typing import Any, NamedTuple

from rerank_operator.api import names
from rerank_operator.controller.times import seconds_of
from rerank_operator.diagnosis.step_words import read_warning

Object = dict[str, Any]


class Said(NamedTuple):
    """What an Event says about a pod, and when (epoch seconds) it was said last."""

    at: float
    reason: str
    message: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Pod:
    """A model pod, as far as decisions depend on it."""

    name: str
    uid: str
    revision: str
    ip: str
    ready: bool
    terminating: bool
    created: float
    gone_by: float | None
    replica_set: str
    status: Object
    claims: tuple[str, ...] = ()

    @classmethod
    def of(cls, obj: Object) -> "Pod":
        """Read a pod object."""
        metadata, status = obj["metadata"], obj.get("status", {})
        conditions = {c["type"]: c["status"] for c in status.get("conditions", [])}
        return cls(
            name=metadata["name"],
            uid=metadata["uid"],
            revision=metadata.get("labels", {}).get(names.LABEL_REVISION, ""),
            ip=status.get("podIP", ""),
            ready=conditions.get("Ready") == "True",
            terminating="deletionTimestamp" in metadata,
            created=seconds_of(metadata["creationTimestamp"]),
            # Kubernetes writes the end of the grace period there.
            gone_by=seconds_of(metadata["deletionTimestamp"]) if "deletionTimestamp" in metadata else None,
            replica_set=next((ref["name"] for ref in metadata.get("ownerReferences", []) if ref.get("controller")), ""),
            status=status,
            claims=tuple(claim["name"] for claim in obj.get("spec", {}).get("resourceClaims", [])),
        )

    @property
    def has_ended(self) -> bool:
        """Whether the pod ended for good, as one that was evicted did; it stays until somebody deletes it."""
        return self.status.get("phase") in ("Failed", "Succeeded")

    @property
    def scheduled_at(self) -> float | None:
        """When (epoch seconds) the pod was given to a node; None before."""
        given = (c for c in self.status.get("conditions", []) if (c["type"], c["status"]) == ("PodScheduled", "True"))
        condition = next(given, None)
        return None if condition is None else seconds_of(condition["lastTransitionTime"])

    @property
    def running_since(self) -> float | None:
        """Since when (epoch seconds) the engine's container runs; None while it does not."""
        states = [c.get("state", {}).get("running") for c in self.status.get("containerStatuses", [])]
        times = [state["startedAt"] for state in states if state and state.get("startedAt")]
        return max(map(seconds_of, times)) if times and len(times) == len(states) else None

    @property
    def running_step(self) -> tuple[str, float] | None:
        """Name of the init container of ours that runs, and since when (epoch seconds)."""
        for container in self.status.get("initContainerStatuses", []):
            running = container.get("state", {}).get("running")
            if container["name"] in names.STEPS and running and running.get("startedAt"):
                return container["name"], seconds_of(running["startedAt"])
        return None

    @property
    def warning(self) -> str:
        """What the model's own files gave reason to warn of."""
        for container in self.status.get("initContainerStatuses", []):
            terminated = container.get("state", {}).get("terminated", {})
            if container["name"] == names.CHECK_CONTAINER and terminated.get("exitCode") == 0:
                return read_warning(terminated.get("message", ""))
        return ""

    @property
    def restarts(self) -> int:
        """How often a container of the pod was started again."""
        return sum(c.get("restartCount", 0) for c in self.status.get("containerStatuses", []))

    @property
    def has_started(self) -> bool:
        """Whether the engine that runs now has answered the startup probe once."""
        containers = self.status.get("containerStatuses", [])
        return bool(containers) and all(container.get("started") for container in containers)

    @property
    def was_ready(self) -> bool:
        """Whether the engine that runs now was ready, and is no more.

        A pod is not ready from its creation on, and again from the end of a container on: both are before this run.
        """
        since = next(
            (c.get("lastTransitionTime") for c in self.status.get("conditions", []) if c["type"] == "Ready"), None
        )
        runs = self.running_since
        return (
            not self.ready and self.has_started and runs is not None and since is not None and seconds_of(since) >= runs
        )

    @property
    def unschedulable(self) -> Object | None:
        """The condition in which the scheduler says that no node can take the pod."""
        return next(
            (c for c in self.status.get("conditions", []) if c["type"] == "PodScheduled" and c["status"] == "False"),
            None,
        )
