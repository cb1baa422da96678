"""Search the demo's documents in Milvus Lite, without and with the published reranker."""

import contextlib
import dataclasses
import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from milvus_lite.server_manager import server_manager_instance
from pymilvus import AnnSearchRequest, DataType, Function, FunctionType, MilvusClient, RRFRanker

from tests.demo.documents import QUESTION, documents, questions
from tests.demo.retrievers import TRIPLES, dense_vector, sparse_vector

COLLECTION: Final = "documents"


@dataclasses.dataclass(frozen=True)
class Hit:
    """A document that was found, and its score."""

    text: str
    score: float


@dataclasses.dataclass(frozen=True)
class Comparison:
    """One search, without and with the reranker; all documents, best first."""

    title: str
    question: str
    answer: str
    before: list[Hit]
    after: list[Hit]

    @property
    def rank_before(self) -> int:
        """Place of the right answer without the reranker, from 1."""
        return self._rank(self.before)

    @property
    def rank_after(self) -> int:
        """Place of the right answer with the reranker, from 1."""
        return self._rank(self.after)

    def _rank(self, hits: list[Hit]) -> int:
        return [hit.text for hit in hits].index(self.answer) + 1


class PublishedFunction:
    """The reranker as an application uses it: from the ConfigMap's data, a new Function for each question.

    `base_url` replaces the published one where the caller is outside the cluster, which cannot resolve its
    names.
    """

    def __init__(self, data: Mapping[str, str], base_url: str | None = None) -> None:
        self._function: dict[str, Any] = json.loads(data["function.json"])
        self.params: dict[str, Any] = json.loads(data["milvus-lite.json"])
        if base_url is not None:
            self.params["base_url"] = base_url

    @property
    def input_field(self) -> str:
        """The field that holds the text."""
        field: str = self._function["input_field_names"][0]
        return field

    def for_question(self, question: str) -> Function:
        """Build the Function of one search."""
        return Function(
            name=self._function["name"],
            input_field_names=self._function["input_field_names"],
            function_type=FunctionType[self._function["function_type"]],
            params={**self.params, "queries": [question]},
        )


class DocumentSearch:
    """A Milvus Lite collection of the demo's documents, with a dense and a sparse vector for each."""

    def __init__(self, client: MilvusClient, published: PublishedFunction) -> None:
        self._client = client
        self._published = published
        self._text = published.input_field
        self._create_collection()

    def compare_vector_search(self, question: str = QUESTION) -> Comparison:
        """Search by the dense vector alone."""

        def search(ranker: Function | None) -> list[Hit]:
            (hits,) = self._client.search(
                COLLECTION,
                [dense_vector(question)],
                anns_field="dense",
                limit=len(documents()),
                output_fields=[self._text],
                ranker=ranker,
            )
            return self._as_hits(hits)

        return self._comparison("vector search", question, search(None), search(self._published.for_question(question)))

    def compare_hybrid_search(self, question: str = QUESTION) -> Comparison:
        """Search by both vectors; without the reranker, reciprocal rank fusion merges the two lists."""

        def search(ranker: Function | RRFRanker) -> list[Hit]:
            count = len(documents())
            requests = [
                AnnSearchRequest([dense_vector(question)], "dense", {}, limit=count),
                AnnSearchRequest([sparse_vector(question)], "sparse", {}, limit=count),
            ]
            (hits,) = self._client.hybrid_search(
                COLLECTION, requests, ranker=ranker, limit=count, output_fields=[self._text]
            )
            return self._as_hits(hits)

        return self._comparison(
            "hybrid search", question, search(RRFRanker()), search(self._published.for_question(question))
        )

    def compare_all_questions(self) -> list[Comparison]:
        """Ask every question with a vector search: one question may be luck."""
        return [self.compare_vector_search(question) for question in questions()]

    def _comparison(self, title: str, question: str, before: list[Hit], after: list[Hit]) -> Comparison:
        return Comparison(title, question, questions()[question], before, after)

    def _as_hits(self, hits: Any) -> list[Hit]:
        return [Hit(hit["entity"][self._text], hit["distance"]) for hit in hits]

    def _create_collection(self) -> None:
        schema = self._client.create_schema(auto_id=False)
        schema.add_field("id", DataType.INT64, is_primary=True)
        schema.add_field(self._text, DataType.VARCHAR, max_length=512)
        schema.add_field("dense", DataType.FLOAT_VECTOR, dim=TRIPLES)
        schema.add_field("sparse", DataType.SPARSE_FLOAT_VECTOR)
        index = self._client.prepare_index_params()
        index.add_index("dense", index_type="FLAT", metric_type="IP")
        index.add_index("sparse", index_type="SPARSE_INVERTED_INDEX", metric_type="IP")
        self._client.create_collection(COLLECTION, schema=schema, index_params=index)
        rows = [
            {"id": number, self._text: text, "dense": dense_vector(text), "sparse": sparse_vector(text)}
            for number, text in enumerate(documents())
        ]
        self._client.insert(COLLECTION, rows)


@contextlib.contextmanager
def milvus_lite() -> Iterator[MilvusClient]:
    """Run Milvus Lite on a new file database, and remove it afterwards."""
    with tempfile.TemporaryDirectory(prefix="milvus-lite-") as folder:
        database = Path(folder, "demo.db")
        client = MilvusClient(str(database))
        try:
            yield client
        finally:
            client.close()
            server_manager_instance.release_server(str(database))
