"""`watch` tells what changes, and ends when waiting is over."""

import asyncio
import json
from typing import Any

import pytest
from rich.live import Live
from rich.spinner import Spinner
from typer.testing import CliRunner

from rerank_operator.api.meanings import MEANINGS
from rerank_operator.api.reasons import Reason
from rerank_operator.cli import cli
from rerank_operator.cli.watch import OnTerminal
from rerank_operator.clients.errors import ApiRejected
from tests.builders import NOW
from tests.unit.cli.scripted_cluster import ScriptedCluster, a_reranker, ready, stalled

SERVES = {"endpoint": "http://bge.search.svc:8000", "configMapName": "bge-milvus"}
SERVING = a_reranker(ready("True", Reason.READY), **SERVES)
NOBODY = a_reranker()
PULLS = ready("False", Reason.IMAGE_PULL_FAILED, "The kubelet says: NotFound")
BROKEN = a_reranker(PULLS, stalled(Reason.IMAGE_PULL_FAILED))


def loading(detail: str) -> dict[str, Any]:
    return a_reranker(ready(), progress={"step": "LoadingModel", "detail": detail, "since": NOW})


def watch(changes: list[dict[str, Any]], *arguments: str) -> tuple[int, list[str], str]:
    cluster = ScriptedCluster()
    cluster.changes = changes
    with cluster.connected():
        result = CliRunner().invoke(cli, ["watch", "bge", "-n", "search", *arguments])
    assert cluster.closed
    return result.exit_code, result.stdout.splitlines(), result.stderr


def test_each_change_is_a_line_until_it_is_ready() -> None:
    code, lines, err = watch([NOBODY, loading("1 of 5"), loading("1 of 5"), loading("3 of 5"), SERVING, BROKEN])

    assert (0, "") == (code, err)
    assert [
        f"Pending  {MEANINGS[Reason.PENDING].when}",
        "EngineStarting  LoadingModel: 1 of 5",
        "EngineStarting  LoadingModel: 3 of 5",
        f"Ready  {MEANINGS[Reason.READY].when}",
    ] == [line.partition("  ")[2] for line in lines[:-1]]
    assert "Ready after 0s: http://bge.search.svc:8000, ConfigMap bge-milvus" == lines[-1]


def test_a_stalled_one_ends_it_with_the_remedy() -> None:
    code, lines, _ = watch([NOBODY, BROKEN, SERVING])

    assert 1 == code
    assert [
        "Stalled after 0s: ImagePullFailed",
        "  seen    The kubelet says: NotFound.",
        f"  remedy  {MEANINGS[Reason.IMAGE_PULL_FAILED].remedy}",
        "  more    rerank-operator doctor bge --namespace search",
    ] == lines[-4:]


def test_what_was_true_of_an_older_spec_does_not_count() -> None:
    stale = a_reranker(ready("True", Reason.READY), **SERVES)
    stale["metadata"] = {**stale["metadata"], "generation": 2}
    stale_and_stalled = {**BROKEN, "metadata": stale["metadata"]}
    code, lines, _ = watch([stale, stale_and_stalled])

    assert 1 == code
    assert "Deleted after 0s: there is no reranker bge any more" == lines[-1]


def test_a_deleted_one_ends_it() -> None:
    code, lines, _ = watch([NOBODY], "--output", "json")

    assert 1 == code
    assert [None, "Deleted"] == [json.loads(line)["outcome"] for line in lines]


def test_json_says_the_same_in_objects() -> None:
    code, lines, _ = watch([loading("1 of 5"), loading("1 of 5"), SERVING], "--output", "json")
    first, last = map(json.loads, lines)

    assert 0 == code
    assert {
        "outcome": None,
        "name": "bge",
        "namespace": "search",
        "ready": False,
        "stalled": False,
        "reason": "EngineStarting",
        "seen": MEANINGS[Reason.ENGINE_STARTING].when,
        "remedy": "",
        "step": "LoadingModel",
        "detail": "1 of 5",
        "since": NOW,
        "endpoint": None,
        "configMapName": None,
    } == {key: value for key, value in first.items() if key != "at"}
    assert ("Ready", True, "bge-milvus") == (last["outcome"], last["ready"], last["configMapName"])
    assert first.keys() == last.keys()


def test_time_that_is_over_ends_it_with_three(monkeypatch: pytest.MonkeyPatch) -> None:
    code, lines, _ = watch_in_vain(monkeypatch)

    assert 3 == code
    assert "Timeout after 0s: EngineStarting" == lines[1]
    assert "  more    rerank-operator doctor bge --namespace search" == lines[-1]


def watch_in_vain(monkeypatch: pytest.MonkeyPatch) -> tuple[int, list[str], str]:
    async def forever(*_: object) -> Any:
        yield loading("1 of 5")
        await asyncio.Event().wait()

    monkeypatch.setattr(ScriptedCluster, "watch", forever)
    return watch([], "--timeout", "0.05")


def test_a_missing_one_is_no_deleted_one() -> None:
    code, lines, err = watch([])

    assert (2, []) == (code, lines)
    assert "RerankService 'bge' does not exist in namespace 'search'." in err


def test_a_missing_right_is_named() -> None:
    refused = 'User "jane" cannot watch resource "rerankservices" in API group "g" in the namespace "search"'
    code, _, err = watch([NOBODY, ApiRejected(refused)])  # type: ignore[list-item]

    assert 2 == code
    assert "jane may not watch rerankservices.g in namespace search." in err


def test_a_terminal_shows_one_line_with_step_detail_and_times() -> None:
    telling = OnTerminal()
    assert "0s  asking the cluster" == shown(telling)

    telling.change(loading("3 of 5"))
    assert shown(telling).startswith("0s  EngineStarting  LoadingModel: 3 of 5, for ")

    telling.change(SERVING)
    assert f"0s  Ready  {MEANINGS[Reason.READY].when}" == shown(telling)


def test_a_line_that_is_too_long_is_cut_to_the_width_of_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    telling = OnTerminal()
    telling.change(loading("3 of 5"))

    assert "0s  EngineStarting  Loading…" == shown(telling)


def shown(telling: OnTerminal) -> str:
    with telling.shown() as live:
        assert isinstance(live, Live)
        line = live.get_renderable()
        assert isinstance(line, Spinner)
        return str(line.text)
