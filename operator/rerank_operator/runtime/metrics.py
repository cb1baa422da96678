"""Prometheus metrics of the operator."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest


class Metrics:
    """Counters of one operator process, in a registry of their own."""

    def __init__(self, queue_length: Callable[[], int]) -> None:
        self._registry = CollectorRegistry()
        self._rounds = Counter(
            "rerank_operator_reconcile_total", "Rounds by outcome.", ["outcome"], registry=self._registry
        )
        self._seconds = Histogram("rerank_operator_reconcile_seconds", "Seconds of a round.", registry=self._registry)
        queue = Gauge("rerank_operator_queue_length", "Rerankers that wait for a worker.", registry=self._registry)
        queue.set_function(lambda: float(queue_length()))

    def observe_round(self, outcome: str, seconds: float) -> None:
        """Count a round."""
        self._rounds.labels(outcome).inc()
        self._seconds.observe(seconds)

    def exposition(self) -> bytes:
        """The text that Prometheus scrapes."""
        return generate_latest(self._registry)
