"""What `make demo` shows: from nothing to a published reranker, and a search without and with it."""
