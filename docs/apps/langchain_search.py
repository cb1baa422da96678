"""The same as search.py with LangChain: langchain-milvus gives the published function to Milvus.

    python langchain_search.py fill
    python langchain_search.py ask "a question" ["another one" ...]

It reads what search.py reads, from the same places, and needs that file beside it.

The question is a part of the function. `store.as_retriever(search_kwargs={"ranker": function})` therefore sorts the
hits of every question by the first one, and nothing tells you: make a function for each question, as here. The argument
is called `ranker`: a store with one vector field takes `reranker` too and ignores it. A store with several vector
fields wants `reranker`.
"""

import json
import os
import sys

from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_milvus import Milvus
from pymilvus import MilvusException
from search import SENTENCES, SHOWN, candidates, embed, published, rerank_function

COLLECTION = "documents_langchain"


class WordCounts(Embeddings):
    """Put your embedding model here."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [embed(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        return embed(text)


def open_store() -> Milvus:
    """The collection, whose text is in the field that the function names: LangChain makes it when it is filled."""
    (text,) = published("function.json", "RERANK_FUNCTION")["input_field_names"]
    address = os.environ.get("MILVUS_ADDRESS", "http://127.0.0.1:19530")
    return Milvus(
        embedding_function=WordCounts(),
        collection_name=COLLECTION,
        connection_args={"uri": address, "token": os.environ.get("MILVUS_TOKEN", "")},
        text_field=text,
        index_params={"index_type": "FLAT", "metric_type": "COSINE"},
        consistency_level="Strong",
        auto_id=True,
    )


def fill(store: Milvus) -> None:
    """Make the collection, unless it is there."""
    if not store.client.has_collection(COLLECTION):
        store.add_documents([Document(page_content=sentence) for sentence in SENTENCES])


def search(store: Milvus, questions: list[str]) -> dict:
    """The best texts for each question: many hits are reranked, and the first are kept.

    When reranking fails, Milvus fails the search: so it is repeated without, in the order of the vectors.
    """
    lite = "lite" in store.client.get_server_version()
    limit = candidates(lite=lite)
    problem = None
    try:
        found = [
            store.similarity_search_with_score(question, k=limit, ranker=rerank_function([question], lite=lite))
            for question in questions
        ]
    except MilvusException as error:
        problem = f"not reranked: {error.message}"
        print(problem, file=sys.stderr)
        found = [store.similarity_search_with_score(question, k=limit) for question in questions]
    results = [[{"score": score, "text": hit.page_content} for hit, score in hits[:SHOWN]] for hits in found]
    return {"reranked": problem is None, "problem": problem, "results": results}


def main() -> None:
    action, *questions = sys.argv[1:] or ["help"]
    if action == "fill":
        fill(open_store())
    elif action == "ask" and questions:
        print(json.dumps(search(open_store(), questions), indent=2, ensure_ascii=False))
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
