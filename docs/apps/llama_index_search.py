"""The same as search.py with LlamaIndex: its retriever searches in Milvus, then a node postprocessor reranks.

    python llama_index_search.py fill
    python llama_index_search.py ask "a question" ["another one" ...]

Its Milvus store has no way to pass the published function: `hybrid_ranker` knows RRFRanker and WeightedRanker only. So
this asks the reranker itself. It needs search.py and rerank_request.py beside it, and pymilvus 2.6: LlamaIndex does not
take 3 yet, and LangChain takes nothing older, so that the two cannot share an environment.
"""

import json
import os
import sys
from collections.abc import Callable

from llama_index.core import QueryBundle, VectorStoreIndex
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.vector_stores.milvus import MilvusVectorStore
from pymilvus import MilvusClient
from rerank_request import NotRerankedError, candidates, rerank
from search import CANDIDATES, DIMENSIONS, SENTENCES, SHOWN, embed

COLLECTION = "documents_llama_index"


class WordCounts(BaseEmbedding):
    """Put your embedding model here."""

    def _get_text_embedding(self, text: str) -> list[float]:
        return embed(text)

    def _get_query_embedding(self, query: str) -> list[float]:
        return embed(query)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return embed(query)


class Rerank(BaseNodePostprocessor):
    """Sorts the nodes by the reranker and keeps the first; `report` is told why when it cannot.

    A postprocessor that raises would end the whole query: this one keeps the order of the vectors instead.
    """

    report: Callable[[str], None]
    top_n: int = SHOWN

    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        if query_bundle is None or not nodes:
            return nodes[: self.top_n]
        try:
            ranked = rerank(query_bundle.query_str, [node.node.get_content() for node in nodes])
        except NotRerankedError as error:
            self.report(str(error))
            return nodes[: self.top_n]
        return [NodeWithScore(node=nodes[index].node, score=score) for index, score in ranked[: self.top_n]]


def milvus_address() -> dict:
    """What both clients of Milvus take."""
    return {
        "uri": os.environ.get("MILVUS_ADDRESS", "http://127.0.0.1:19530"),
        "token": os.environ.get("MILVUS_TOKEN", ""),
    }


def open_index() -> VectorStoreIndex:
    """The index over the collection, which the store makes where it is missing."""
    store = MilvusVectorStore(
        **milvus_address(),
        collection_name=COLLECTION,
        dim=DIMENSIONS,
        similarity_metric="COSINE",
        index_config={"index_type": "FLAT"},
        consistency_level="Strong",
        use_async_client=False,
    )
    return VectorStoreIndex.from_vector_store(store, embed_model=WordCounts())


def fill() -> None:
    """Make the collection, unless it is there."""
    if not MilvusClient(**milvus_address()).has_collection(COLLECTION):
        open_index().insert_nodes([TextNode(text=sentence) for sentence in SENTENCES])


def search(index: VectorStoreIndex, questions: list[str]) -> dict:
    """The best texts for each question: many are retrieved, all are reranked, and the first are kept.

    In a query engine: index.as_query_engine(similarity_top_k=..., node_postprocessors=[Rerank(report=print)]).
    """
    problems: list[str] = []
    retriever = index.as_retriever(similarity_top_k=candidates(CANDIDATES))
    postprocessor = Rerank(report=problems.append)
    found = [
        postprocessor.postprocess_nodes(retriever.retrieve(question), query_str=question) for question in questions
    ]
    for problem in problems:
        print(problem, file=sys.stderr)
    results = [[{"score": node.score, "text": node.node.get_content()} for node in nodes] for nodes in found]
    return {"reranked": not problems, "problem": problems[0] if problems else None, "results": results}


def main() -> None:
    action, *questions = sys.argv[1:] or ["help"]
    if action == "fill":
        fill()
    elif action == "ask" and questions:
        print(json.dumps(search(open_index(), questions), indent=2, ensure_ascii=False))
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
