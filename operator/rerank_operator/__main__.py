"""`python -m rerank_operator` is the `rerank-operator` command."""

from rerank_operator.cli import main

main()
