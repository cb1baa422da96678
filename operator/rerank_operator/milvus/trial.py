"""Trying a published function in a Milvus: what is asked for, what was seen, and what that proves. Pure.

A small collection is made whose vectors put the right document last, so that only the model can bring it to the top.
"""

import base64
import dataclasses
import json
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final, Self

from rerank_operator.api.reasons import Reason
from rerank_operator.milvus.versions import is_lite, is_too_old

MOST_CHARACTERS: Final = 500
# A check takes five minutes at most: what is older than this was left behind by one that was killed.
OLD_SECONDS: Final = 900
_COLLECTION: Final = re.compile(r"rerank_operator_check_(\d{10,12})_[0-9a-z]{1,32}")
_HIDDEN: Final = "***"
# A shorter secret may be part of ordinary words.
_SHORT: Final = 6
_SAME: Final = 1e-6


class Stage(StrEnum):
    """How far a check came."""

    CONNECT = "connect"
    VERSION = "version"
    TIDY = "tidy"
    CREATE = "create"
    INSERT = "insert"
    SEARCH = "search"
    DROP = "drop"
    DONE = "done"


@dataclasses.dataclass(frozen=True, slots=True)
class MilvusRequest:
    """One check of one Milvus.

    `function` is that of `function.json`, `lite_params` that of `milvus-lite.json`. `best` is the position of the
    document that must come out on top. `timeout` is in seconds, for everything; `now` in epoch seconds. `id` is the
    part of the collection's name that nobody else uses: small letters and digits. `client_pem` is the certificate that
    is shown to Milvus, with the certificates in between, and `client_key` its private key; both or none.
    """

    uri: str
    function: Mapping[str, Any]
    lite_params: Mapping[str, Any]
    query: str
    documents: tuple[str, ...]
    best: int
    id: str
    now: float
    timeout: float = 60.0
    search: bool = True
    token: str | None = dataclasses.field(default=None, repr=False)
    database: str | None = None
    ca_pem: str | None = None
    server_name: str | None = None
    client_pem: str | None = None
    client_key: str | None = dataclasses.field(default=None, repr=False)
    api_key: str | None = dataclasses.field(default=None, repr=False)

    def to_json(self) -> str:
        """The request as text; it holds secrets."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The request that `to_json` wrote; raises ValueError or TypeError for anything else."""
        told = json.loads(text)
        return cls(**{**told, "documents": tuple(told["documents"])})

    @property
    def collection(self) -> str:
        """Name of the collection; it tells how old the collection is."""
        return f"rerank_operator_check_{int(self.now)}_{self.id}"

    @property
    def input_field(self) -> str:
        """Name of the field that holds the documents."""
        return str(self.function["input_field_names"][0])

    @property
    def distances(self) -> tuple[float, ...]:
        """How far each document is from the query along the first axis: the right one is the farthest."""
        others = [index for index in range(len(self.documents)) if index != self.best]
        return tuple(float((*others, self.best).index(index) + 1) for index in range(len(self.documents)))

    @property
    def needs_key(self) -> bool:
        """Whether the model wants a key."""
        return self.api_key is not None

    def function_for(self, version: str | None) -> dict[str, Any]:
        """Arguments of the pymilvus Function, with the query; Milvus Lite takes other params than a server."""
        params = dict(self.function["params"])
        if is_lite(version):
            key = {"api_key": self.api_key} if self.api_key is not None else {}
            params = {**self.lite_params, **key}
        return {
            "name": self.function["name"],
            "input_field_names": list(self.function["input_field_names"]),
            "params": {**params, "queries": [self.query]},
        }

    def without_secrets(self, text: str) -> str:
        """The text without token, password and keys; of a private key also without single lines."""
        token = self.token or ""
        password = token.partition(":")[2]
        encoded = base64.b64encode(token.encode()).decode() if token else ""
        lines = (self.client_key or "").splitlines()[1:-1]  # what is around them is no secret
        for secret in filter(None, (token, password, self.api_key, encoded, self.client_key, *lines)):
            word = re.escape(secret)
            text = re.sub(word if len(secret) >= _SHORT else rf"(?<!\w){word}(?!\w)", _HIDDEN, text)
        return text


@dataclasses.dataclass(frozen=True, slots=True)
class MilvusAnswer:
    """What was seen.

    `stage` is where it ended, `error` what went wrong there (empty when nothing did). `order` are positions of the
    documents as the search returned them, best first, each with its score. `left_over` are collections of checks, this
    one or older ones, that could not be dropped.
    """

    stage: Stage
    version: str | None = None
    error: str = ""
    order: tuple[int, ...] = ()
    scores: tuple[float, ...] = ()
    left_over: tuple[str, ...] = ()

    def to_json(self) -> str:
        """The answer as text."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The answer that `to_json` wrote; raises ValueError, KeyError or TypeError for anything else."""
        told = json.loads(text)
        return cls(
            stage=Stage(told["stage"]),
            version=None if told["version"] is None else str(told["version"]),
            error=str(told["error"]),
            order=tuple(map(int, told["order"])),
            scores=tuple(map(float, told["scores"])),
            left_over=tuple(map(str, told["left_over"])),
        )


def is_left_behind(collection: str, now: float) -> bool:
    """Whether a collection was made by a check that is over for sure; never true of a name that is not ours."""
    ours = _COLLECTION.fullmatch(collection)
    return ours is not None and now - int(ours[1]) > OLD_SECONDS


def judge(request: MilvusRequest, answer: MilvusAnswer) -> tuple[Reason, str]:
    """What an answer without an error proves, and why in words."""
    if is_too_old(answer.version, needs_key=request.needs_key):
        return Reason.SERVER_TOO_OLD, "the version is too old for what is published"
    if not request.search:
        return Reason.SEARCH_NOT_CHECKED, "only the version was read"
    if sorted(answer.order) != list(range(len(request.documents))) or len(answer.scores) != len(answer.order):
        found, sent = len(answer.order), len(request.documents)
        return Reason.MILVUS_ERROR, f"the search found {found} of {sent} documents"
    if fault := _fault(request, answer):
        return Reason.RESULT_NOT_RERANKED, fault
    return Reason.MILVUS_VERIFIED, f"a search brought the right one of {len(answer.order)} documents to the top"


def _fault(request: MilvusRequest, answer: MilvusAnswer) -> str:
    """Why the order is not the model's; empty where it is."""
    distances = [request.distances[index] for index in answer.order]
    if distances == sorted(distances):
        return "the documents came back in the order of their vectors"
    if answer.order[0] != request.best:
        return f"document {answer.order[0]} came first, not the right one, {request.best}"
    if any(
        all(abs(score - distance**power) < _SAME for score, distance in zip(answer.scores, distances, strict=True))
        for power in (1, 2)
    ):
        return "the scores are the distances of the vectors"
    if any(after > before for before, after in zip(answer.scores, answer.scores[1:], strict=False)):
        return "the scores do not fall from the first document to the last"
    return ""
