"""What is asked of an endpoint, and what was found."""

import dataclasses

from rerank_operator.api.v1alpha1 import OverlongDocuments
from rerank_operator.rerank.batch import Batch
from rerank_operator.rerank.questions import Question
from rerank_operator.rerank.verdict import Verdict


@dataclasses.dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to ask, and what.

    `former_route` is whether to ask on the route of Milvus 2.6.0 too. `truncate` is whether Milvus will send
    truncate_prompt_tokens; `max_length` the model's limit in tokens, None to ask the server for it; `overlong` whether
    to send a document beyond that limit; `batch` the number of documents to measure one request with, 0 for none;
    `timeout` the seconds that an answer may take.
    """

    base_url: str
    model: str | None
    questions: tuple[Question, ...]
    former_route: bool = True
    truncate: bool = True
    max_length: int | None = None
    overlong: bool = True
    lacks_template: bool = False
    timeout: float = 30.0
    batch: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Check:
    """One thing that was asked, the judgement of the answer, and the seconds that it took."""

    name: str
    verdict: Verdict
    seconds: float


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """The first wrong verdict or RIGHT, and what was measured on the way.

    `seconds` is the fastest small request, `scores` are those of all questions that were answered right.
    """

    verdict: Verdict
    seconds: float | None = None
    scores: tuple[float, ...] = ()
    overlong: OverlongDocuments | None = None
    batch: Batch | None = None
    checks: tuple[Check, ...] = ()
