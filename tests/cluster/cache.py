"""Where the test bed keeps what takes long to build, outside the checkout."""

import os
from pathlib import Path


def cache_dir() -> Path:
    """Return the cache folder and create it if it is missing.

    RERANK_OPERATOR_CACHE names the folder itself. Without it, it lies in XDG_CACHE_HOME or ~/.cache.
    """
    named = os.environ.get("RERANK_OPERATOR_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    folder = Path(named).expanduser() if named else Path(base).expanduser() / "rerank-operator"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
