"""The same as search.py with Haystack: a pipeline whose last component asks the reranker.

    python haystack_search.py fill
    python haystack_search.py ask "a question" ["another one" ...]

The retriever of milvus-haystack for one vector field cannot pass the published function to a search. The hybrid one
can, but it keeps one function, and so one question, for good. So this asks the reranker itself. It needs search.py and
rerank_request.py beside it. Haystack reports its use to its makers unless HAYSTACK_TELEMETRY_ENABLED is False.
"""

import json
import os
import sys

from haystack import Document, Pipeline, component
from milvus_haystack import MilvusDocumentStore, MilvusEmbeddingRetriever
from rerank_request import NotRerankedError, candidates, rerank
from search import CANDIDATES, SENTENCES, SHOWN, embed

COLLECTION = "documents_haystack"


@component
class WordCounts:
    """Put the embedder of your model here."""

    @component.output_types(embedding=list[float])
    def run(self, text: str) -> dict:
        return {"embedding": embed(text)}


@component
class Rerank:
    """Sorts the documents by the reranker and keeps the first; `problem` says why when it cannot.

    A component that raises would end the whole pipeline: this one keeps the order of the vectors instead.
    """

    @component.output_types(documents=list[Document], problem=str | None)
    def run(self, question: str, documents: list[Document]) -> dict:
        if not documents:
            return {"documents": [], "problem": None}
        try:
            ranked = rerank(question, [document.content or "" for document in documents])
        except NotRerankedError as error:
            return {"documents": documents[:SHOWN], "problem": str(error)}
        best = [Document(content=documents[index].content, score=score) for index, score in ranked[:SHOWN]]
        return {"documents": best, "problem": None}


def open_store() -> MilvusDocumentStore:
    """The collection: Haystack makes it when it is filled."""
    address = os.environ.get("MILVUS_ADDRESS", "http://127.0.0.1:19530")
    return MilvusDocumentStore(
        collection_name=COLLECTION,
        connection_args={"uri": address, "token": os.environ.get("MILVUS_TOKEN", "")},
        index_params={"index_type": "FLAT", "metric_type": "COSINE"},
        consistency_level="Strong",
    )


def fill(store: MilvusDocumentStore) -> None:
    """Make the collection, unless it is there."""
    if not store.client.has_collection(COLLECTION):
        store.write_documents([Document(content=sentence, embedding=embed(sentence)) for sentence in SENTENCES])


def build_pipeline(store: MilvusDocumentStore) -> Pipeline:
    """Embed the question, search for many documents, rerank them all."""
    pipeline = Pipeline()
    pipeline.add_component("embedder", WordCounts())
    pipeline.add_component("retriever", MilvusEmbeddingRetriever(store, top_k=candidates(CANDIDATES)))
    pipeline.add_component("reranker", Rerank())
    pipeline.connect("embedder.embedding", "retriever.query_embedding")
    pipeline.connect("retriever.documents", "reranker.documents")
    return pipeline


def search(store: MilvusDocumentStore, questions: list[str]) -> dict:
    """The best texts for each question."""
    pipeline = build_pipeline(store)
    answers = [
        pipeline.run({"embedder": {"text": question}, "reranker": {"question": question}})["reranker"]
        for question in questions
    ]
    problems = [answer["problem"] for answer in answers if answer["problem"]]
    for problem in problems:
        print(problem, file=sys.stderr)
    results = [[{"score": hit.score, "text": hit.content} for hit in answer["documents"]] for answer in answers]
    return {"reranked": not problems, "problem": problems[0] if problems else None, "results": results}


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
