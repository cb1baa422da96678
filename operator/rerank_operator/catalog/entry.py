"""What is known about one reranker model: the fields of the catalog."""

import datetime as dt
from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from rerank_operator.api.v1alpha1 import Language

GIB: Final = 1024**3
Commit = Annotated[str, Field(pattern="^[0-9a-f]{40}$")]
EngineVersion = Annotated[str, Field(pattern=r"^\d+\.\d+(\.\d+)?$")]


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True)


class Kind(StrEnum):
    """How a model judges a query and its documents."""

    #: A classifier reads query and document together.
    CROSS_ENCODER = "crossEncoder"
    #: A language model is asked for a yes or a no; documents are put into a prompt.
    LLM_CROSS_ENCODER = "llmCrossEncoder"
    #: All documents of a request are judged in one prompt.
    LISTWISE = "listwise"
    #: Query and document are encoded apart, and compared word by word.
    LATE_INTERACTION = "lateInteraction"
    #: Query and document are encoded apart, and compared as a whole: an embedding model.
    BI_ENCODER = "biEncoder"


class ScoreRange(StrEnum):
    """What scores vLLM gives; verification measures it again."""

    ZERO_TO_ONE = "0..1"
    LOGITS = "logits"
    COSINE = "-1..1"
    SUM = "sum"
    UNKNOWN = "unknown"


class Level(StrEnum):
    """How sure it is that vLLM serves the model right; nobody ran these weights here."""

    #: vLLM's own tests compare its scores.
    VLLM_TESTED = "vllmTested"
    #: vLLM or the author documents how to serve it.
    DOCUMENTED = "documented"
    #: vLLM accepts the configuration; no answer was seen.
    CONFIG_RESOLVES = "configResolves"
    UNVERIFIED = "unverified"


class Licence(_Data):
    """Licences change: what was read, where, and when."""

    spdx: str
    non_commercial: bool = False
    as_of: dt.date
    source: str


class Size(_Data):
    """Memory figures; computed from configurations, not measured.

    `weights_gib` is GiB at 16 bit, `disk_gib` what is downloaded, `kv_kib_per_token` is 0 for encoders, which have no
    cache.
    """

    parameters: Annotated[int, Field(gt=0)]
    weights_gib: Annotated[float, Field(gt=0)]
    disk_gib: Annotated[float, Field(gt=0)]
    kv_kib_per_token: Annotated[float, Field(ge=0)] = 0


class EngineVersions(_Data):
    """First and last vLLM release that serves the model; None where no limit is known."""

    min: EngineVersion | None = None
    max: EngineVersion | None = None


class Refusal(_Data):
    """Why the model is not served, what to do instead, and models that are."""

    reason: str
    remedy: str
    alternatives: tuple[str, ...] = ()


class Verified(_Data):
    """How sure it is, and since when."""

    level: Level
    date: dt.date


class Entry(_Data):
    """What is known about one model.

    `max_length` is tokens per query and document pair that the model allows, `default_max_length` what is served
    unless the spec says more. `max_documents` is the most that one request may hold. A `truncation_safe` model may
    have its input cut at the end. `code_revision` is a commit of the repository that holds the model's code, where that
    is another one. `warning` is a sentence for whoever uses the model.
    """

    id: str
    aliases: tuple[str, ...] = ()
    kind: Kind = Kind.CROSS_ENCODER
    architectures: tuple[str, ...] = ()
    revision: Commit | None = None
    code_revision: Commit | None = None
    licence: Licence | None = None
    size: Size | None = None
    max_length: Annotated[int, Field(ge=1)] | None = None
    default_max_length: Annotated[int, Field(ge=1)] | None = None
    max_documents: Annotated[int, Field(ge=1)] | None = None
    hf_overrides: dict[str, Any] = Field(default_factory=dict)
    trust_remote_code: bool = False
    template: str | None = None
    engine: EngineVersions = EngineVersions()
    scores: ScoreRange = ScoreRange.UNKNOWN
    truncation_safe: bool = True
    languages: tuple[Language, ...] = ()
    more_languages: str = ""
    modalities: tuple[str, ...] = ("text",)
    verified: Verified | None = None
    warning: str = ""
    refusal: Refusal | None = None
    sources: tuple[str, ...] = ()

    @property
    def is_known(self) -> bool:
        """Whether this is an entry of the catalog, not a name that nobody described."""
        return self.verified is not None or self.refusal is not None

    @property
    def served_length(self) -> int | None:
        """Tokens per pair unless the spec says otherwise; None where vLLM has to ask the model."""
        return self.default_max_length or self.max_length
