"""What one round decides. Frozen; made by `plan` and what it is made of, carried out by the stages after it."""

import dataclasses
from collections.abc import Mapping
from enum import StrEnum

from rerank_operator.api.v1alpha1 import MilvusConnection
from rerank_operator.controller.pods import Object, Pod
from rerank_operator.controller.values import Fault, Key
from rerank_operator.rerank.finding import Endpoint
from rerank_operator.rerank.questions import Question
from rerank_operator.rerank.verdict import Verdict


class Scope(StrEnum):
    """How much is asked of a pod."""

    EARLY = "early"
    EVERYTHING = "everything"
    AGAIN = "again"


@dataclasses.dataclass(frozen=True, slots=True)
class Target:
    """A pod or an address to ask.

    `subject` is the uid of the pod, or what `values.subject_of` makes of an address. `secret` is the name of the Secret
    that holds the keys of callers, `interval` the seconds until a right one is asked again.
    """

    key: Key
    subject: str
    scope: Scope
    endpoint: Endpoint
    secret: str | None = None
    interval: float = 300.0


@dataclasses.dataclass(frozen=True, slots=True)
class MilvusTarget:
    """A Milvus to try what is, or would be, published.

    `identity` names the publication and the connection: the same pair need not be tried twice. `data` is that of the
    ConfigMap. `secret` is the name of the Secret that holds the keys of callers.
    """

    key: Key
    identity: str
    connection: MilvusConnection
    data: Mapping[str, str]
    question: Question
    secret: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Restart:
    """A pod that is deleted because it went wrong, and why."""

    key: Key
    pod: Pod
    verdict: Verdict


@dataclasses.dataclass(frozen=True, slots=True)
class Sharing:
    """Copies of the ConfigMap to write and to delete, and why namespaces get none."""

    create: tuple[Object, ...] = ()
    update: tuple[Object, ...] = ()
    delete: tuple[Object, ...] = ()
    faults: Mapping[str, Fault] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """Every decision of one round. `create` never touches what exists; `update` takes our fields back."""

    create: tuple[Object, ...] = ()
    update: tuple[Object, ...] = ()
    verify: tuple[Target, ...] = ()
    publish: tuple[Object, ...] = ()
    share: Sharing = dataclasses.field(default_factory=Sharing)
    milvus: MilvusTarget | None = None
    milvus_identity: str | None = None
    delete: tuple[Object, ...] = ()
    restart: Restart | None = None
    requeue_after: float | None = None
