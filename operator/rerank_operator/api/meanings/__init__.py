"""What each reason says: when it appears, and the remedy that goes with it."""

from typing import Final

from rerank_operator.api.meanings import engine, publication, verification
from rerank_operator.api.meanings.meaning import Meaning
from rerank_operator.api.reasons import Reason

MEANINGS: Final[dict[Reason, Meaning]] = {**engine.MEANINGS, **verification.MEANINGS, **publication.MEANINGS}

__all__ = ["MEANINGS", "Meaning"]
