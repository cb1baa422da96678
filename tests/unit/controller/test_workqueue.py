"""The guarantees of the queue."""

import asyncio

from rerank_operator.controller.workqueue import WorkQueue


def test_a_key_waits_at_most_once() -> None:
    async def story() -> int:
        queue: WorkQueue[str] = WorkQueue()
        for _ in range(3):
            queue.add("a")
        await queue.get()
        return len(queue)

    assert 0 == asyncio.run(story())


def test_a_key_that_is_added_while_it_is_worked_on_runs_exactly_once_more() -> None:
    async def story() -> list[str]:
        queue: WorkQueue[str] = WorkQueue()
        queue.add("a")
        done = [await queue.get()]
        queue.add("a")
        queue.add("a")
        assert 0 == len(queue)
        queue.done("a")
        done.append(await asyncio.wait_for(queue.get(), 1))
        queue.done("a")
        assert 0 == len(queue)
        return done

    assert ["a", "a"] == asyncio.run(story())


def test_a_delayed_add_keeps_the_earliest_time() -> None:
    async def story() -> str:
        queue: WorkQueue[str] = WorkQueue()
        queue.add_after("a", 60)
        queue.add_after("a", 0.01)
        queue.add_after("a", 60)
        return await asyncio.wait_for(queue.get(), 1)

    assert "a" == asyncio.run(story())


def test_an_add_makes_a_delayed_one_superfluous() -> None:
    async def story() -> int:
        queue: WorkQueue[str] = WorkQueue()
        queue.add_after("a", 0.01)
        queue.add("a")
        await queue.get()
        queue.done("a")
        await asyncio.sleep(0.03)  # longer than the delay that must not fire
        return len(queue)

    assert 0 == asyncio.run(story())


def test_failures_back_off_up_to_a_limit_and_success_starts_anew() -> None:
    async def story() -> tuple[list[float], float]:
        queue: WorkQueue[str] = WorkQueue()
        delays = [queue.retry("a") for _ in range(30)]
        queue.succeeded("a")
        again = queue.retry("a")
        queue.close()
        return delays, again

    delays, again = asyncio.run(story())
    assert 0.4 <= delays[0] <= 0.6
    assert 1.6 <= delays[2] <= 2.4
    assert max(delays) <= 360
    assert 0.4 <= again <= 0.6


def test_an_urgent_key_goes_before_all_that_are_not_and_comes_only_once() -> None:
    async def story() -> list[str]:
        queue: WorkQueue[str] = WorkQueue()
        for key in ("a", "b", "c"):
            queue.add(key)
        queue.add("c", urgent=True)
        queue.add("c")
        taken = []
        while len(queue):
            taken.append(await queue.get())
            queue.done(taken[-1])
        return taken

    assert ["c", "a", "b"] == asyncio.run(story())


def test_a_key_that_becomes_urgent_while_it_is_worked_on_is_the_next_one() -> None:
    async def story() -> list[str]:
        queue: WorkQueue[str] = WorkQueue()
        queue.add("a")
        taken = [await queue.get()]
        queue.add("b")
        queue.add("a", urgent=True)
        queue.add("a")
        queue.done("a")
        taken += [await queue.get(), await queue.get()]
        return taken

    assert ["a", "a", "b"] == asyncio.run(story())
