"""What a change of a reranker comes to, if every model pod becomes ready and ranks right.

The operator's own decisions (`controller.plan`) are made again and again for objects that are only imagined, until
nothing is left to do. What is there then is what would be there.
"""

import copy
import dataclasses
import json
import math
import time
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Any, Final

from rerank_operator.api import names
from rerank_operator.api.reasons import Reason
from rerank_operator.cli.differences import differences, ours_of
from rerank_operator.controller.mirror import Mirror
from rerank_operator.controller.observe import Answers, look
from rerank_operator.controller.plan import make_plan
from rerank_operator.controller.pods import Object
from rerank_operator.controller.times import rfc3339
from rerank_operator.controller.values import Key, MilvusRecord, Observed, Record
from rerank_operator.rerank.verdict import RIGHT
from rerank_operator.resources.deployment import build_deployment
from rerank_operator.resources.drift import is_drifted, overlay
from rerank_operator.resources.model_volume import wants_claim
from rerank_operator.resources.revision import EngineImages

# A change of an accelerator takes five rounds; what never comes to rest would be a fault of ours.
_MOST_ROUNDS: Final = 30
Slot = tuple[str, str]


class Action(StrEnum):
    """What becomes of one child."""

    CREATE = "create"
    CHANGE = "change"
    DELETE = "delete"
    UNCHANGED = "unchanged"
    #: Somebody else's object has the name; the operator would not touch it.
    CONFLICT = "conflict"


@dataclasses.dataclass(frozen=True, slots=True)
class Child:
    """One child; `diff` are lines of a unified diff, against the child `replaces` where it takes the place of one."""

    action: Action
    kind: str
    name: str
    diff: tuple[str, ...] = ()
    replaces: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Installed:
    """Whether a cluster has what only some have."""

    keda: bool
    gateway_api: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Outlook:
    """`before` is the active revision, None where nothing serves; `stored` is the ControllerRevision of `after`.

    A server that somebody else runs has none.
    """

    before: str | None
    after: str
    pods_before: int
    pods_after: int
    children: tuple[Child, ...]
    stored: Object | None
    given_up: tuple[str, str] | None

    @property
    def new_pods(self) -> int:
        """Model pods that have to find a place."""
        if self.before != self.after:
            return self.pods_after
        return max(0, self.pods_after - self.pods_before)


class _AllRight(Mapping[str, Record]):
    """Every pod and every address answers right."""

    def __getitem__(self, subject: str) -> Record:
        return Record(RIGHT)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


class Imagined(Mirror):
    """Objects of one reranker as they would be. Every pod that should run is ready, and ranks right."""

    def __init__(self, objects: Iterable[Object]) -> None:
        super().__init__()
        self.there: dict[Slot, Object] = {slot_of(obj): obj for obj in objects}

    def put(self, obj: Object) -> bool:
        """Create or update, as the operator does it."""
        slot = slot_of(obj)
        self.there[slot] = overlay(self.there.get(slot), obj)
        return True

    def drop(self, obj: Object) -> bool:
        """Delete."""
        return self.there.pop(slot_of(obj), None) is not None

    def of(self, key: Key) -> list[Object]:
        """Everything, with the pods of the Deployments that are there."""
        del key
        pods = [pod for obj in self.there.values() if obj["kind"] == "Deployment" for pod in _pods(obj)]
        return copy.deepcopy([*self.there.values(), *pods])


def foresee(resource: Object, live: list[Object], images: EngineImages, installed: Installed) -> Outlook:
    """What becomes of the live children of a reranker when it is stored like `resource`."""
    metadata = resource["metadata"]
    key = Key(metadata["namespace"], metadata["name"])
    claim = ("PersistentVolumeClaim", names.cache_name(key.name))  # a retained one has no owner
    owned = [obj for obj in live if _is_owned(obj, metadata["uid"]) or slot_of(obj) == claim]
    imagined = Imagined([resource, *owned])
    first = _look(key, imagined, installed)
    observed = first
    for _ in range(_MOST_ROUNDS):
        plan = make_plan(observed, images)
        if not (plan.create or plan.update or plan.publish or plan.delete):
            break
        for obj in (*plan.create, *plan.update, *plan.publish):
            imagined.put(obj)
        for obj in plan.delete:
            imagined.drop(obj)
        tried = MilvusRecord(plan.milvus_identity or "", Reason.MILVUS_VERIFIED, ask_again_at=math.inf)
        observed = dataclasses.replace(_look(key, imagined, installed), milvus=tried)
    children = {slot: obj for slot, obj in imagined.there.items() if slot[0] != names.KIND}
    return Outlook(
        before=first.active,
        after=observed.desired,
        pods_before=_replicas(first, first.active),
        pods_after=observed.wanted_replicas,
        children=tuple(_compare({slot_of(obj): obj for obj in owned}, children, first)),
        stored=observed.revisions.get(observed.desired),
        given_up=first.failure_of(first.desired),
    )


def slot_of(obj: Object) -> Slot:
    """Kind and name."""
    return obj["kind"], obj["metadata"]["name"]


def _look(key: Key, imagined: Imagined, installed: Installed) -> Observed:
    observed = look(key, imagined, Answers(_AllRight(), {}, {}))
    if observed is None:
        raise ValueError(f"{key.name} is being deleted: wait until it is gone")
    lacks_claim = wants_claim(observed.wanted.spec) and not observed.ready_pods(observed.desired)
    there = ("PersistentVolumeClaim", names.cache_name(key.name)) in imagined.there
    return dataclasses.replace(
        observed,
        keda_installed=installed.keda,
        gateway_api_installed=installed.gateway_api,
        lacks_claim=lacks_claim and not there,
    )


def _compare(before: dict[Slot, Object], after: dict[Slot, Object], first: Observed) -> Iterable[Child]:
    """Every child that is there before or after."""
    for slot, obj in after.items():
        live = before.get(slot)
        if live is None:
            replaced = first.active if obj["kind"] == "Deployment" and first.active in first.revisions else None
            yield _created(obj, first, replaced)
        elif is_drifted(obj, live) or is_drifted(live, obj):
            yield Child(Action.CHANGE, *slot, tuple(differences(ours_of(live, obj), obj)))
        else:
            yield Child(Action.UNCHANGED, *slot)
    for slot in before:
        if slot not in after:
            yield Child(Action.DELETE, *slot)


def _created(obj: Object, first: Observed, replaced: str | None) -> Child:
    """A new child; a Deployment in place of the active one is compared with that, as the operator made it."""
    if replaced is None or replaced == obj["metadata"]["labels"][names.LABEL_REVISION]:
        return Child(Action.CREATE, *slot_of(obj))
    former = build_deployment(first.revisions[replaced], _replicas(first, replaced))
    name = former["metadata"]["name"]
    # That names and selectors hold another hash is said once, and not in each place.
    text = json.dumps(former).replace(replaced, obj["metadata"]["labels"][names.LABEL_REVISION])
    return Child(Action.CREATE, *slot_of(obj), tuple(differences(json.loads(text), obj)), name)


def _replicas(observed: Observed, revision: str | None) -> int:
    deployment: Any = observed.deployments.get(revision or "", {})
    return int(deployment.get("spec", {}).get("replicas", 0))


def _pods(deployment: Object) -> list[Object]:
    metadata = deployment["metadata"]
    owner = {"kind": "ReplicaSet", "name": metadata["name"], "uid": metadata["name"], "controller": True}
    return [
        {
            "kind": "Pod",
            "metadata": {
                "name": f"{metadata['name']}-{number}",
                "namespace": metadata["namespace"],
                "uid": f"{metadata['name']}-{number}",
                "labels": metadata["labels"],
                "ownerReferences": [owner],
                "creationTimestamp": rfc3339(time.time()),
            },
            "status": {"conditions": [{"type": "Ready", "status": "True"}]},
        }
        for number in range(deployment["spec"]["replicas"])
    ]


def _is_owned(obj: Object, uid: str) -> bool:
    return any(ref["uid"] == uid and ref.get("controller") for ref in obj["metadata"].get("ownerReferences", []))
