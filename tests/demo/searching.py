"""The last step: search in Milvus Lite without and with what was published."""

import json
from collections.abc import Mapping

from rich.console import Console
from rich.syntax import Syntax

from tests.demo.documents import documents
from tests.demo.errors import DemoError
from tests.demo.progress import step
from tests.demo.retrievers import DESCRIPTION
from tests.demo.searches import DocumentSearch, PublishedFunction, milvus_lite
from tests.demo.tables import comparison_table, verdict


def show_params(config_map: str, data: Mapping[str, str], console: Console) -> None:
    """Print what an application mounts, and what Milvus Lite takes instead."""
    console.print(f"\n[bold]ConfigMap {config_map}, params.json[/] (for Milvus 2.6 and later)")
    console.print(Syntax(data["params.json"].strip(), "json", background_color="default"))


def show_searches(data: Mapping[str, str], engine: str, model: str, console: Console) -> None:
    """Search without and with the reranker at `engine`, an address without a path that works from here.

    `model` is what is said about the model.

    Raises DemoError when the right answer is not on top with the reranker.
    """
    published = PublishedFunction(data, base_url=f"{engine}/v1")
    with milvus_lite() as client:
        with step("Put the documents into Milvus Lite, in this process", console) as running:
            search = DocumentSearch(client, published)
            running.outcome = f"{len(documents())} documents"
        with step("Search without and with the reranker", console) as running:
            shown = [search.compare_vector_search(), search.compare_hybrid_search()]
            every = search.compare_all_questions()
            running.outcome = f"{2 * len(shown) + 2 * len(every)} searches"
    lines = (
        f"\nMilvus Lite takes milvus-lite.json: {json.dumps(published.params)}",
        f"The retriever is weak on purpose: {DESCRIPTION}. It knows nothing of meaning.",
        f"The reranker is {model}.\n",
    )
    console.print(*lines, sep="\n", highlight=False, soft_wrap=True, markup=False)
    for comparison in shown:
        console.print(comparison_table(comparison), end="\n\n")
    console.print(verdict(shown, every), style="bold", highlight=False, soft_wrap=True)
    if any(comparison.rank_after != 1 for comparison in shown):
        raise DemoError("the reranker does not put the right answer first: its pod's log may say why")
