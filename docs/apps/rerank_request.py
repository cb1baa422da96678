"""Ask the reranker itself, for frameworks that cannot give Milvus a function.

The address, the model and the limits are the keys RERANK_* of the ConfigMap: as variables, or as files in the folder
where it is mounted (RERANK_CONFIG_DIR, /etc/rerank). RERANK_API_KEY comes from a Secret, where a key is asked for.
"""

import json
import math
import os
import urllib.request
from pathlib import Path

SECONDS = 10.0


class NotRerankedError(Exception):
    """There are no scores: keep the order that you have."""


def value(name: str) -> str:
    """A flat key of the ConfigMap, "" where it has no value."""
    folder = Path(os.environ.get("RERANK_CONFIG_DIR", "/etc/rerank"))
    return os.environ[name] if name in os.environ else (folder / name).read_text("utf-8")


def rerank(question: str, texts: list[str]) -> list[tuple[int, float]]:
    """The position of each text and its score, best first. Raises NotRerankedError."""
    body = {"model": value("RERANK_MODEL"), "query": question, "documents": texts}
    if tokens := value("RERANK_TRUNCATE_PROMPT_TOKENS"):
        body["truncate_prompt_tokens"] = int(tokens)
    headers = {"Content-Type": "application/json"}
    if key := os.environ.get("RERANK_API_KEY"):
        headers["Authorization"] = f"Bearer {key}"
    try:
        request = urllib.request.Request(value("RERANK_URL"), json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=SECONDS) as response:
            results = json.load(response)["results"]
        ranked = [(int(result["index"]), float(result["relevance_score"])) for result in results]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise NotRerankedError(f"not reranked: {error}") from error
    if sorted(index for index, _ in ranked) != list(range(len(texts))):
        raise NotRerankedError(f"not reranked: {len(ranked)} results for {len(texts)} texts")
    if not all(math.isfinite(score) for _, score in ranked):
        raise NotRerankedError("not reranked: a score is not a finite number")
    return sorted(ranked, key=lambda pair: -pair[1])


def candidates(wanted: int) -> int:
    """How many texts to rerank at once: never more than the reranker takes."""
    return min(wanted, int(value("RERANK_MAX_CLIENT_BATCH_SIZE")))
