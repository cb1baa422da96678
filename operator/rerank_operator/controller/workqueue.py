"""A queue of keys with the guarantees of client-go's: knows nothing of Kubernetes.

* A key waits at most once, however often it is added.
* A key is never worked on twice at the same time; one that is added meanwhile runs once more afterwards.
* A delayed add keeps the earliest time.
* An urgent key goes before all that are not: what is nearly done is not held up by a burst of what is new.
* Failures of a key back off exponentially, with jitter so that keys that failed together do not return together.
"""

import asyncio
import itertools
import random
from collections.abc import Hashable
from typing import Final, Generic, TypeVar

K = TypeVar("K", bound=Hashable)

FIRST_RETRY_SECONDS: Final = 0.5
LONGEST_RETRY_SECONDS: Final = 300.0
JITTER: Final = 0.2


class WorkQueue(Generic[K]):
    """Keys to be worked on, in order of arrival, urgent ones first."""

    def __init__(self) -> None:
        self._ready: asyncio.PriorityQueue[tuple[bool, int, K]] = asyncio.PriorityQueue()
        self._arrivals = itertools.count()
        # Keys that wait, and whether any add of them was urgent.
        self._waiting: dict[K, bool] = {}
        self._working: set[K] = set()
        self._again: dict[K, bool] = {}
        self._timers: dict[K, asyncio.TimerHandle] = {}
        self._failures: dict[K, int] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, key: K, *, urgent: bool = False) -> None:
        """Work on a key as soon as a worker is free."""
        if timer := self._timers.pop(key, None):
            timer.cancel()
        if key in self._working:
            self._again[key] = urgent or self._again.get(key, False)
        elif key not in self._waiting or (urgent and not self._waiting[key]):
            self._waiting[key] = urgent
            self._ready.put_nowait((not urgent, next(self._arrivals), key))

    def add_after(self, key: K, seconds: float) -> None:
        """Work on a key in `seconds`, or earlier if it is added earlier."""
        loop = asyncio.get_running_loop()
        when = loop.time() + seconds
        timer = self._timers.get(key)
        if timer is not None:
            if timer.when() <= when:
                return
            timer.cancel()
        self._timers[key] = loop.call_at(when, self.add, key)

    def retry(self, key: K) -> float:
        """Work on a key again after its back-off; returns the seconds until then."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        seconds = min(FIRST_RETRY_SECONDS * 2.0 ** min(failures, 20), LONGEST_RETRY_SECONDS)
        seconds *= 1 + JITTER * (2 * random.random() - 1)  # noqa: S311 - spreads load, guards nothing
        self.add_after(key, seconds)
        return seconds

    def succeeded(self, key: K) -> None:
        """Forget the failures of a key."""
        self._failures.pop(key, None)

    async def get(self) -> K:
        """Wait for the next key; `done` must follow."""
        while True:
            _, _, key = await self._ready.get()
            if key in self._waiting:  # else its urgent entry was taken before
                del self._waiting[key]
                self._working.add(key)
                return key

    def done(self, key: K) -> None:
        """Release a key."""
        self._working.discard(key)
        if key in self._again:
            self.add(key, urgent=self._again.pop(key))

    def close(self) -> None:
        """Cancel every delayed add."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
