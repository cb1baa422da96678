"""Questions with a known best answer.

The first is the request of Milvus's own documentation. In each, the right document and the wrong ones have the
same form and length: a model that lost its tokenizer or its prompt scores them all alike.
"""

import dataclasses
from typing import Any, Final


@dataclasses.dataclass(frozen=True, slots=True)
class Question:
    """A query, its documents, and the position of the document that must come out on top."""

    query: str
    documents: tuple[str, ...]
    best: int

    def body(self, model: str | None = None) -> dict[str, Any]:
        """The request body as Milvus sends it: query and documents, and a model only where one is given."""
        body: dict[str, Any] = {"query": self.query, "documents": list(self.documents)}
        return {"model": model, **body} if model else body


GOLDEN: Final = (
    Question(
        query="What is the capital of France?",
        documents=(
            "The capital of Brazil is Brasilia.",
            "The capital of France is Paris.",
            "Horses and cows are both animals",
        ),
        best=1,
    ),
    Question(
        query="What is the capital of Japan?",
        documents=(
            "The capital of Japan is Tokyo.",
            "The capital of Italy is Rome.",
            "The capital of Egypt is Cairo.",
        ),
        best=0,
    ),
)
