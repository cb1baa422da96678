"""Two weak retrievers that need no model: they compare spelling, and know nothing of meaning.

They stand in for an embedding model that finds roughly the right documents and orders them badly. Both hash
what they count into so few numbers that different things collide.
"""

import collections
import math
import re
import zlib
from collections.abc import Iterable
from typing import Final

TRIPLES: Final = 16
WORDS: Final = 12
DESCRIPTION: Final = f"letter triples hashed into {TRIPLES} numbers (dense), words hashed into {WORDS} numbers (sparse)"


def dense_vector(text: str) -> list[float]:
    """Count the triples of letters; the vector has length 1."""
    spelled = f" {text.lower()} "
    counted = _counted((spelled[start : start + 3] for start in range(len(spelled) - 2)), TRIPLES)
    return [counted.get(number, 0.0) for number in range(TRIPLES)]


def sparse_vector(text: str) -> dict[int, float]:
    """Count the words, a frequent one as much as a rare one; the vector has length 1."""
    return _counted(re.findall(r"\w+", text.lower()), WORDS)


def _counted(parts: Iterable[str], numbers: int) -> dict[int, float]:
    counts = collections.Counter(zlib.crc32(part.encode()) % numbers for part in parts)
    length = math.sqrt(sum(count * count for count in counts.values()))
    return {number: count / length for number, count in counts.items()}
