"""Questions with a known best answer, in several languages.

The first English one is the request of Milvus's own documentation. In each, the right document and the wrong ones have
the same form and length: a model that lost its tokenizer or its prompt scores them all alike. The right one repeats the
subject of the question, so that every reranker that knows the language gets it right.
"""

import dataclasses
import functools
from collections.abc import Iterable, Mapping
from importlib import resources
from typing import Annotated, Any, Final

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

# Words of an overlong document: more than one token each would only make it longer still.
_FILLER: Final = ("river", "hill", "road", "house", "field", "stone", "tree", "bridge")
_MARGIN: Final = 16
# Of those that a model knows, unless somebody names more: each language is a request to each pod.
MOST_LANGUAGES: Final = 4


@dataclasses.dataclass(frozen=True, slots=True)
class Question:
    """A query, its documents, and the position of the document that must come out on top."""

    query: str
    documents: tuple[str, ...]
    best: int
    language: str = ""

    def body(self, model: str | None = None, truncate: int | None = None) -> dict[str, Any]:
        """The request body as Milvus sends it: query and documents; model and truncation only where they are given."""
        body: dict[str, Any] = {"query": self.query, "documents": list(self.documents)}
        if truncate is not None:
            body["truncate_prompt_tokens"] = truncate
        return {"model": model, **body} if model else body


class _Written(BaseModel):
    """A question as it stands in the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    query: str
    documents: Annotated[list[str], Field(min_length=2)]
    best: Annotated[int, Field(ge=0)]


class _Language(BaseModel):
    """Questions of one language, and prose that makes a document long."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    questions: Annotated[list[_Written], Field(min_length=2)]
    prose: str
    separator: str = " "


def questions_in(languages: Iterable[str]) -> tuple[Question, ...]:
    """Two short questions in the first language and one in each other, then one with long documents in the first.

    Raises ValueError for a language without questions.
    """
    wanted = tuple(dict.fromkeys(languages))
    known = _languages()
    if unknown := [language for language in wanted if language not in known]:
        raise ValueError(f"no questions in {', '.join(unknown)}; there are some in {', '.join(sorted(known))}")
    if not wanted:
        return ()
    first = [_question(written, wanted[0]) for written in known[wanted[0]].questions]
    others = [_question(known[code].questions[0], code) for code in wanted[1:]]
    return (*first, *others, _long_question(wanted[0]))


def overlong(tokens: int) -> Question:
    """The first English question with two documents longer than so many tokens: both begin with their answer."""
    first = _question(_languages()["en"].questions[0], "en")
    count = tokens + _MARGIN
    filler = " ".join(_FILLER[number % len(_FILLER)] for number in range(count))
    right, wrong = first.documents[first.best], first.documents[0]
    return dataclasses.replace(first, documents=(f"{wrong} {filler}", f"{right} {filler}"), best=1)


def _long_question(code: str) -> Question:
    """The second short question, each document with the same prose behind its answer."""
    language = _languages()[code]
    short = _question(language.questions[1], code)
    documents = tuple(f"{document}{language.separator}{language.prose.strip()}" for document in short.documents)
    return dataclasses.replace(short, documents=documents)


def _question(written: _Written, code: str) -> Question:
    return Question(written.query, tuple(written.documents), written.best, code)


@functools.cache
def _languages() -> Mapping[str, _Language]:
    text = resources.files(__package__).joinpath("questions.yaml").read_text(encoding="utf-8")
    return TypeAdapter(dict[str, _Language]).validate_python(yaml.safe_load(text))
