"""The last words of the init containers that prepare a model (`engine/fetch_model.py`, `engine/check_model.py`)."""

import json
from typing import Any

from rerank_operator.api.reasons import Reason
from rerank_operator.diagnosis.engine_words import telling_line


def read_step(message: str, seen: str) -> tuple[Reason, str]:
    """Reason and detail of a step that failed; one that did not come to say why crashed, and `seen` tells how."""
    said = _said(message)
    try:
        return Reason(str(said["reason"])), str(said["detail"])
    except (KeyError, ValueError):
        return Reason.CRASH_LOOPING, f"{seen}: {telling_line(message)}"


def read_warning(message: str) -> str:
    """What a step that succeeded warns of; empty where it warns of nothing."""
    return str(_said(message).get("warning") or "")


def _said(message: str) -> dict[str, Any]:
    try:
        said = json.loads(message)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}
