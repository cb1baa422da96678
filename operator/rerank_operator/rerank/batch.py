"""How many documents one request may hold, so that Milvus gets its answer in time. Pure.

Milvus gives up after 30 seconds, and searches queue behind each other. So a batch is published only when the
model answered it in a third of that.
"""

import re
from typing import Any, Final, NamedTuple, Self

WELL_IN_TIME_SECONDS: Final = 10.0
# A batch that is not answered at all is tried again with a quarter of its documents, down to this many.
SMALLEST: Final = 8
_SHRINK: Final = 4
_QUERY: Final = "Which animals live in the old forest behind the river?"
# Sixty words, as in the passages that rerankers are trained with.
_PASSAGE: Final = (
    "Passage {number} tells of the old forest behind the river, where deer, foxes and owls live among oaks that were "
    "planted two hundred years ago. In spring the water rises over the lower paths and the animals move up the hill. "
    "In autumn visitors come to hear the deer, and the rangers close the road to the mill for two weeks each year."
)
_MEASURED: Final = re.compile(r"(\d+) of (\d+)")


class Batch(NamedTuple):
    """How many documents in one request were answered well in time, and of how many that is the result."""

    answered: int
    asked: int

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read `ANSWERED of ASKED`; None for anything else."""
        match = _MEASURED.fullmatch(text)
        return cls(int(match[1]), int(match[2])) if match else None

    def __str__(self) -> str:
        return f"{self.answered} of {self.asked}"

    def covers(self, wanted: int) -> bool:
        """Whether measuring `wanted` documents would tell nothing new."""
        return wanted <= self.asked or self.answered < self.asked


def batch_body(size: int, *, truncate: bool) -> dict[str, Any]:
    """A request with `size` different passages, as Milvus would send it."""
    body: dict[str, Any] = {"query": _QUERY, "documents": [_PASSAGE.format(number=n) for n in range(1, size + 1)]}
    return {**body, "truncate_prompt_tokens": -1} if truncate else body


def fitting(size: int, seconds: float) -> int:
    """Documents that would be answered in time, when `size` of them took so many seconds.

    Halved rather than computed: the published number must not follow every small difference of time.
    """
    while size > 1 and seconds > WELL_IN_TIME_SECONDS:
        size, seconds = size // 2, seconds / 2
    return size if seconds <= WELL_IN_TIME_SECONDS else 0


def smaller(size: int) -> int:
    """The next size to try after no answer came; 0 when that is pointless."""
    return size // _SHRINK if size // _SHRINK >= SMALLEST else 0
