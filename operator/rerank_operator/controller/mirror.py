"""The last state of every object that we own, as the API server told it.

Why not read live: a roll-out causes some ten events per reranker, and five labelled LISTs for each event were
fifty reads where the budget allows three. What makes a mirror dangerous is kept out of it:

* Only complete objects that the API server sent go in: watch events, list items, and the answers to our own
  writes (so we read our own writes, and the event that echoes them changes nothing).
* An older version never replaces a newer one.
* `keep_only` drops what a complete list does not hold, so that an object whose deletion was missed (a watch
  that broke) disappears at the next resync.
* Nothing irrevocable rests on it: creating never overwrites, deleting names the uid, and a change reads the live
  object first and fails when somebody was faster.

Objects are kept as JSON text without managed fields: a tenth of the memory of parsed ones.
"""

import json
from collections.abc import Set as AbstractSet
from typing import Any, NamedTuple

from rerank_operator.api import names
from rerank_operator.controller.pods import Object
from rerank_operator.controller.values import Key

_POD_METADATA = (
    "name",
    "namespace",
    "uid",
    "labels",
    "ownerReferences",
    "creationTimestamp",
    "deletionTimestamp",
)
_POD_STATUS = ("phase", "podIP", "reason", "message")
_CONDITIONS = ("Ready", "ContainersReady", "PodScheduled")
_CONDITION = ("type", "status", "reason", "message", "lastTransitionTime")
_CONTAINER = ("name", "ready", "started", "restartCount", "state", "lastState")
_WITHOUT_STATUS = {"PodDisruptionBudget", "HorizontalPodAutoscaler", "ScaledObject", "HTTPRoute", "Ingress"}


class Entry(NamedTuple):
    """One object: its version and what decisions depend on."""

    version: int
    text: bytes


class Mirror:
    """Objects by reranker, kind and name."""

    def __init__(self) -> None:
        self._objects: dict[Key, dict[tuple[str, str], Entry]] = {}

    def put(self, obj: Object) -> bool:
        """Take over a newer version; says whether anything changed that a decision could depend on."""
        key = owner_key(obj)
        if key is None:
            return False
        slot = slot_of(obj)
        version = int(obj["metadata"].get("resourceVersion", 0))
        objects = self._objects.setdefault(key, {})
        known = objects.get(slot)
        if known is not None and known.version >= version:
            return False
        text = _relevant(obj)
        objects[slot] = Entry(version, text)
        return known is None or known.text != text

    def drop(self, obj: Object) -> bool:
        """Forget a deleted object; says whether it was known."""
        key = owner_key(obj)
        objects = self._objects.get(key) if key else None
        if key is None or objects is None:
            return False
        known = objects.pop(slot_of(obj), None)
        if not objects:
            del self._objects[key]
        return known is not None

    def keep_only(self, kind: str, listed: AbstractSet[tuple[Key, str]], version: int) -> None:
        """Drop the objects of a kind that a complete list of this version does not hold; what is newer stays."""
        for key in list(self._objects):
            gone = [
                slot
                for slot, entry in self._objects[key].items()
                if slot[0] == kind and (key, slot[1]) not in listed and entry.version <= version
            ]
            for slot in gone:
                del self._objects[key][slot]
            if not self._objects[key]:
                del self._objects[key]

    def of(self, key: Key) -> list[Object]:
        """Everything known of one reranker, parsed anew: the caller may keep it."""
        return [json.loads(entry.text) for entry in self._objects.get(key, {}).values()]

    def pod_uids(self) -> set[str]:
        """Every pod that is known."""
        entries = (e for objects in self._objects.values() for (kind, _), e in objects.items() if kind == "Pod")
        return {json.loads(entry.text)["metadata"]["uid"] for entry in entries}

    def places(self) -> set[tuple[str, str]]:
        """Kind and namespace of everything that is known."""
        return {
            (kind, name.rpartition("/")[0] or key.namespace)
            for key, objects in self._objects.items()
            for kind, name in objects
        }

    def keys(self) -> list[Key]:
        """Every reranker of which anything is known."""
        return list(self._objects)


def owner_key(obj: Object) -> Key | None:
    """The reranker to which an object belongs, None for somebody else's object."""
    metadata = obj["metadata"]
    if obj["kind"] == names.KIND:
        return Key(metadata["namespace"], metadata["name"])
    name = metadata.get("labels", {}).get(names.LABEL_RERANKER)
    return Key(_source_of(obj) or metadata["namespace"], name) if name else None


def slot_of(obj: Object) -> tuple[str, str]:
    """Kind and name of an object among those of its reranker; a copy in another namespace says where it is."""
    metadata = obj["metadata"]
    is_elsewhere = _source_of(obj) is not None
    return obj["kind"], f"{metadata['namespace']}/{metadata['name']}" if is_elsewhere else metadata["name"]


def _source_of(obj: Object) -> str | None:
    """From which namespace a copy is.

    Only of a copy: else whoever may create a pod anywhere could have it counted among those of another namespace.
    """
    labels = obj["metadata"].get("labels", {})
    is_copy = obj["kind"] == "ConfigMap" and labels.get(names.LABEL_ROLE) == names.ROLE_COPY
    return labels.get(names.LABEL_SOURCE_NAMESPACE) if is_copy else None


def _relevant(obj: Object) -> bytes:
    """What decisions can depend on: a change of anything else must not wake a worker."""
    if obj["kind"] == "Pod":
        relevant = _relevant_pod(obj)
    else:
        metadata = {k: v for k, v in obj["metadata"].items() if k not in ("managedFields", "resourceVersion")}
        relevant = {**obj, "metadata": metadata}
        if obj["kind"] == "Deployment":
            relevant["status"] = _relevant_deployment_status(obj.get("status", {}))
        elif obj["kind"] in _WITHOUT_STATUS:
            relevant.pop("status", None)
        elif obj["kind"] == "ControllerRevision":
            relevant["data"] = {k: v for k, v in obj["data"].items() if k != "files"}  # read anew if ever needed
        elif metadata.get("labels", {}).get(names.LABEL_ROLE) == names.ROLE_FILES:
            relevant.pop("data", None)  # immutable: only its existence matters
    return json.dumps(relevant, separators=(",", ":")).encode()


def _relevant_deployment_status(status: Object) -> Object:
    failures = [c for c in status.get("conditions", []) if c["type"] == "ReplicaFailure"]
    kept = [_pick(c, _CONDITION) for c in failures]
    return {"conditions": kept}


def _relevant_pod(pod: Object) -> Object:
    status = pod.get("status", {})
    conditions = [c for c in status.get("conditions", []) if c["type"] in _CONDITIONS]
    kept: dict[str, Any] = _pick(status, _POD_STATUS)
    kept["conditions"] = [_pick(c, _CONDITION) for c in conditions]
    for field in ("initContainerStatuses", "containerStatuses"):
        kept[field] = [_pick(c, _CONTAINER) for c in status.get(field, [])]
    relevant = {"kind": "Pod", "metadata": _pick(pod["metadata"], _POD_METADATA), "status": kept}
    claims = [_pick(claim, ("name",)) for claim in pod.get("spec", {}).get("resourceClaims", [])]
    return {**relevant, "spec": {"resourceClaims": claims}} if claims else relevant


def _pick(mapping: Object, fields: tuple[str, ...]) -> Object:
    return {field: mapping[field] for field in fields if field in mapping}
