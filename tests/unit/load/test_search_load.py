import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.load import search_load
from tests.load.search_load import Kind, LoadResult, SearchLoad, Tally, judge, run
from tests.unit.load.scripted_engine import Reply, ScriptedEngine, scripted_engine

ONE = Kind("one", workers=1, requests=1, documents=4, pause_seconds=0.01)
THREE = Kind("three", workers=1, requests=3, documents=2, pause_seconds=0.01)


def load_on(url: str, *kinds: Kind, timeout_seconds: float = 30.0) -> SearchLoad:
    others = ("other 1", "other 2", "other 3")
    return SearchLoad(url, "question", "right", others, kinds or (ONE,), timeout_seconds)


def wait_until(done: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


def searched(engine: ScriptedEngine, *kinds: Kind, requests: int = 7, timeout_seconds: float = 30.0) -> LoadResult:
    """The result of a load that ends once the engine was asked so often."""
    stop = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run, load_on(engine.url, *kinds, timeout_seconds=timeout_seconds), stop)
        try:
            wait_until(lambda: len(engine.bodies) >= requests)
        finally:
            stop.set()
        return running.result()


def test_it_asks_as_milvus_does_and_moves_the_right_document_on() -> None:
    with scripted_engine(lambda _: Reply()) as engine:
        result = searched(engine)

    first, second = engine.bodies[:2]
    assert {
        "path": "/rerank",
        "query": "question",
        "documents": ["right", "other 2", "other 3", "other 1"],
        "truncate_prompt_tokens": -1,
    } == first
    assert ["other 1", "right", "other 3", "other 1"] == second["documents"]
    assert [None] == list(set(engine.keys))
    assert ([], []) == (result.failures, result.wrong)


def test_it_sends_the_key_of_its_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RERANK_API_KEY", "secret")
    with scripted_engine(lambda _: Reply()) as engine:
        searched(engine)

    assert {"Bearer secret"} == set(engine.keys)


def test_each_worker_keeps_one_connection() -> None:
    with scripted_engine(lambda _: Reply()) as engine:
        result = searched(engine, ONE, Kind("two workers", workers=2, requests=1, documents=2), requests=20)

    assert 3 == engine.connections
    assert len(engine.bodies) == sum(counts.requests for counts in result.kinds.values())


def test_it_connects_anew_after_an_answer_that_says_close() -> None:
    with scripted_engine(lambda number: Reply(says_close=number == 2)) as engine:
        result = searched(engine)

    assert 2 == engine.connections
    assert [] == result.failures


def test_it_connects_anew_when_the_server_closed_an_idle_connection() -> None:
    with scripted_engine(lambda number: Reply(closes=number == 2)) as engine:
        result = searched(engine, Kind("one", workers=1, requests=1, documents=2, pause_seconds=0.2))

    assert 2 == engine.connections
    assert [] == result.failures


def test_a_request_that_gets_no_answer_has_failed_and_is_not_repeated() -> None:
    with scripted_engine(lambda number: Reply(drops=number == 2)) as engine:
        result = searched(engine)

    assert 1 == result.failed_requests
    assert "RemoteDisconnected" in result.failures[0]
    assert len(engine.bodies) == result.kinds["one"].requests


def test_another_status_fails_the_request_and_the_whole_search() -> None:
    with scripted_engine(lambda number: Reply(status=503 if number == 1 else 200)) as engine:
        result = searched(engine, THREE, requests=8)

    counts = result.kinds["three"]
    assert (1, 1) == (counts.failed_requests, counts.failed_searches)
    assert "503" in result.failures[0]
    assert 2 + 3 * (counts.searches - 1) == counts.requests


def test_a_request_without_an_answer_in_time_has_failed() -> None:
    answer = threading.Event()

    def script(number: int) -> Reply:
        if number == 1:
            answer.wait(20)
        return Reply()

    with scripted_engine(script) as engine:
        result = searched(engine, requests=3, timeout_seconds=0.2)
        answer.set()

    assert 1 == result.failed_requests
    assert "TimeoutError" in result.failures[0]


def test_a_search_that_two_models_scored_is_mixed_and_one_request_never_is() -> None:
    with scripted_engine(lambda number: Reply("first" if number < 4 else "second")) as engine:
        result = searched(engine, THREE, requests=10)
    assert 1 == result.kinds["three"].mixed_searches
    assert ["first", "second"] == result.models
    assert result.last_answers["first"] <= result.first_answers["second"]
    assert {"first", "second"} == {model for by_model in result.answers.values() for model in by_model}

    with scripted_engine(lambda number: Reply("first" if number % 2 else "second")) as engine:
        result = searched(engine, ONE)
    assert 0 == result.kinds["one"].mixed_searches


def test_a_wrong_answer_is_counted_and_is_no_failure() -> None:
    with scripted_engine(lambda number: Reply(content=b"{}" if number == 1 else None)) as engine:
        result = searched(engine)

    assert (0, 1) == (result.failed_requests, result.wrong_answers)
    assert "unreadable" in result.wrong[0]


def test_only_the_first_failures_are_kept_in_words() -> None:
    with scripted_engine(lambda _: Reply(status=500)) as engine:
        result = searched(engine, requests=25)

    assert 20 == len(result.failures)
    assert 25 <= result.failed_requests


def scored(*scores: Any) -> dict[str, Any]:
    """An answer with these scores, in the order of the documents."""
    return {
        "model": "first",
        "results": [{"index": index, "relevance_score": score} for index, score in enumerate(scores)],
    }


def test_a_complete_answer_with_the_right_document_on_top_is_right() -> None:
    assert ("first", None) == judge(json.dumps(scored(0.1, 0.9, 0.2)).encode(), documents=3, best=1)


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        ("no JSON", "unreadable"),
        ([], "unreadable"),
        ({"results": []}, "unreadable"),
        ({"model": "first", "results": [{"index": 0}]}, "unreadable"),
        (scored(0.9), "1 results with 1 indexes where 2 were due"),
        (scored(0.9, 0.1, 0.1), "3 results with 3 indexes"),
        ({"model": "first", "results": scored(0.9)["results"] * 2}, "2 results with 1 indexes"),
        (scored(0.9, float("nan")), "no finite number"),
        (scored(0.9, None), "no finite number"),
        (scored(0.9, "0.1"), "no finite number"),
        (scored(0.9, True), "no finite number"),
        (scored(0.1, 0.9), "document 1 on top"),
    ],
)
def test_an_answer_that_misleads_milvus_is_wrong(answer: Any, fault: str) -> None:
    content = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()

    assert fault in (judge(content, documents=2, best=0)[1] or "")


def test_the_longest_gap_counts_what_no_worker_got_up_to_the_end() -> None:
    clock = iter((100.0, 101.0, 105.0, 111.0, 113.0))
    tally = Tally(load_on("http://nowhere:1"), monotonic=lambda: next(clock))
    for fault in (None, None, "wrong", None):
        tally.answered(ONE, "first", fault)

    assert 6.0 == tally.close().longest_gap_seconds


def test_an_answer_after_a_long_gap_is_told_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    clock = iter((100.0, 101.0, 104.0, 110.0))
    tally = Tally(load_on("http://nowhere:1"), monotonic=lambda: next(clock))
    for _ in range(3):
        tally.answered(ONE, "first", None)

    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [("first answer from", None), ("answers again from", 6.0)] == [
        (next(iter(e)), e.get("after")) for e in events
    ]


def test_a_plan_and_a_result_survive_the_way_as_text() -> None:
    load = load_on("http://nowhere:1", ONE, THREE)
    assert load == SearchLoad.from_json(load.to_json())

    with scripted_engine(lambda number: Reply(status=503 if number == 1 else 200)) as engine:
        result = searched(engine, THREE)
    assert result == LoadResult.from_json(result.to_json())


def test_the_figures_name_counts_models_and_failures() -> None:
    with scripted_engine(lambda number: Reply(status=503 if number == 1 else 200)) as engine:
        figures = searched(engine, THREE).figures()

    for part in ("three: ", "1 failed, 0 mixed", "longest gap", "first: from", "503"):
        assert part in figures


def test_the_program_runs_from_its_text_alone_until_sigterm_and_ends_with_its_result() -> None:
    program = Path(search_load.__file__).read_text(encoding="utf-8")
    with scripted_engine(lambda _: Reply()) as engine:
        command = [sys.executable, "-I", "-S", "-c", program, load_on(engine.url).to_json()]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            first = process.stdout.readline()
            process.terminate()
            rest = process.stdout.read()

    assert "first" == json.loads(first)["first answer from"]
    assert 0 == process.returncode
    assert ["first"] == LoadResult.from_json(rest).models
