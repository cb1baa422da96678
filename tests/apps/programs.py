"""Run the programs of docs/apps unchanged, as an application pod would, and say what they answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from rerank_operator.milvus.config_map import build_data
from tests.apps.environments import APPS, ensure
from tests.builders import a_publication

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

MODEL = "tiny-reranker"
SECONDS = 60.0


class Program(NamedTuple):
    """A file of docs/apps, the collection it makes, and the framework whose environment it needs, if any."""

    file: str
    collection: str
    framework: str | None = None

    def python(self) -> str:
        return str(ensure(self.framework)) if self.framework else sys.executable

    def run(self, *arguments: str, variables: Mapping[str, str]) -> tuple[str, str]:
        """Run it to its end; what it printed, and its errors."""
        done = subprocess.run(
            [self.python(), self.file, *arguments],
            cwd=APPS,
            env=environment(variables),
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout, done.stderr

    def ask(self, *questions: str, variables: Mapping[str, str]) -> tuple[dict[str, Any], str]:
        """The answer to some questions, and the errors."""
        printed, errors = self.run("ask", *questions, variables=variables)
        return json.loads(printed), errors


SEARCH = Program("search.py", "documents")
PROGRAMS = (
    SEARCH,
    Program("langchain_search.py", "documents_langchain", "langchain"),
    Program("llama_index_search.py", "documents_llama_index", "llama-index"),
    Program("haystack_search.py", "documents_haystack", "haystack"),
)


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """What a pod would have: nothing of this shell but the PATH."""
    fixed = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1", "HAYSTACK_TELEMETRY_ENABLED": "False"}
    return {**fixed, **variables}


def published(endpoint: str) -> dict[str, str]:
    """The data of the ConfigMap for a reranker at an endpoint."""
    return build_data(a_publication(endpoint=endpoint, model=MODEL))


def mounted(folder: Path, endpoint: str) -> dict[str, str]:
    """The variables of a pod that mounts the ConfigMap."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in published(endpoint).items():
        (folder / name).write_text(text, encoding="utf-8")
    return {"RERANK_CONFIG_DIR": str(folder)}


def from_keys(endpoint: str) -> dict[str, str]:
    """The variables of a pod that takes keys of the ConfigMap as variables, and mounts nothing."""
    data = published(endpoint)
    files = {"RERANK_FUNCTION": data["function.json"], "RERANK_LITE_PARAMS": data["milvus-lite.json"]}
    return {
        "RERANK_CONFIG_DIR": "/nowhere",
        **files,
        **{name: text for name, text in data.items() if name.startswith("RERANK_")},
    }
