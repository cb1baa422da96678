"""Turn a RerankService into a verified vLLM reranker and the ConfigMap that Milvus needs.

The map: nouns know (api, catalog, engine, resources, rerank, milvus: pure), verbs do (controller: one
stage per module), clients touch (clients: the only door to the outside). `app` wires, `cli` speaks,
`runtime` holds what concerns the process.

The flow: watch event -> queue -> observe -> plan -> apply -> verify -> publish -> status.
"""

__version__ = "0.1.0"
