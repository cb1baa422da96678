"""What ends a benchmark before it has its figures."""


class BenchError(RuntimeError):
    """A figure cannot be had; the message says what was waited for and what was seen instead."""
