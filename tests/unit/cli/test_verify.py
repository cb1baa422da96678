"""`verify` asks an endpoint what the operator asks, and says what is wrong with it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from rerank_operator.api.meanings import MEANINGS
from rerank_operator.api.reasons import Reason
from rerank_operator.cli import cli
from tests.doubles.engine import EngineDouble

MODEL = "tiny-reranker"
KEY = "a-key-of-milvus"


@pytest.fixture
def engine() -> Iterator[EngineDouble]:
    """An engine that answers right."""
    with EngineDouble(model=MODEL) as running:
        yield running


def verify(url: str, *arguments: str, **environment: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(cli, ["verify", url, *arguments], env=environment)
    return result.exit_code, result.stdout, result.stderr


def report(engine: EngineDouble, *arguments: str) -> dict[str, Any]:
    _, out, _ = verify(engine.url, "--output", "json", *arguments)
    found: dict[str, Any] = json.loads(out)
    return found


def test_a_right_endpoint_is_right_check_by_check(engine: EngineDouble) -> None:
    code, out, err = verify(engine.url, "--model", MODEL)
    checks, end = out.split("\n\n")

    assert (0, "") == (code, err)
    assert [] == [line for line in checks.splitlines() if " s  right  POST " not in line]
    for route in ("/rerank", "/v2/rerank", "/v1/rerank"):
        assert f"POST {route} 'What is the capital of France?'" in checks
    assert f"RerankVerified: {engine.url} is right for Milvus" == end.splitlines()[0]
    assert ", between 0 and 1\n" in end
    assert "  overlong  cut off at the model's limit\n" in end
    assert "  batch     256 of 256 documents in one request are answered well in time\n" in end


def test_json_holds_the_same(engine: EngineDouble) -> None:
    found = report(engine, "--model", MODEL)

    assert (True, "RerankVerified", "") == (found["right"], found["reason"], found["remedy"])
    assert {"asked", "seconds", "right", "reason", "seen"} == set(found["checks"][0])
    assert "ZeroToOne" == found["scores"]["scale"]
    assert 0 < found["scores"]["lowest"] < found["scores"]["highest"] < 1
    assert ("Truncated", {"answered": 256, "asked": 256}) == (found["overlongDocuments"], found["batch"])


WRONG = {
    "constant-scores": Reason.SCORES_CONSTANT,
    "wrong-order": Reason.RANKING_WRONG,
    "missing-result": Reason.INCOMPLETE_SCORES,
    "nan-score": Reason.NON_FINITE_SCORES,
    "no-rerank-route": Reason.NOT_A_RERANKER,
    "unauthorized": Reason.UNAUTHORIZED,
    "engine-dead": Reason.ENGINE_ERROR,
    "overlong-rejected": Reason.OVERLONG_DOCUMENT_REJECTED,
    "connection-refused": Reason.ENDPOINT_UNREACHABLE,
}


@pytest.mark.parametrize(("mode", "reason"), WRONG.items(), ids=WRONG)
def test_a_wrong_endpoint_is_named_with_the_remedy(engine: EngineDouble, mode: str, reason: Reason) -> None:
    url = engine.url
    engine.mode = mode
    code, out, _ = verify(url)
    checks, end = out.split("\n\n")

    assert 1 == code
    assert f" s  {reason}  POST /rerank" in checks.splitlines()[-1]
    assert f"{reason}: {url} is not right for Milvus" == end.splitlines()[0]
    assert f"  remedy    {MEANINGS[reason].remedy}" in end


def test_another_model_than_the_named_one_is_found(engine: EngineDouble) -> None:
    assert "ModelNameMismatch" == report(engine, "--model", "another")["reason"]


def test_without_truncation_milvus_own_request_carries_none(engine: EngineDouble) -> None:
    found = report(engine, "--no-truncate")

    assert (True, "Rejected") == (found["right"], found["overlongDocuments"])
    assert [] == [r for r in engine.requests if "truncate_prompt_tokens" in (r.body or {})]


def test_languages_choose_the_questions(engine: EngineDouble) -> None:
    english, german = report(engine), report(engine, "--language", "de", "--language", "fr")

    assert english["checks"][0]["asked"] != german["checks"][0]["asked"]
    assert len(english["checks"]) < len(german["checks"])


def test_a_limit_that_is_given_is_the_one_that_is_tried(engine: EngineDouble) -> None:
    asked = [check["asked"] for check in report(engine, "--max-length", "300")["checks"]]

    assert [] != [name for name in asked if "longer than 300 tokens" in name]


@pytest.mark.parametrize("how", ["file", "variable"])
def test_a_key_is_sent_and_never_shown(engine: EngineDouble, tmp_path: Path, how: str) -> None:
    engine.keys = frozenset({KEY})
    file = tmp_path / "key"
    file.write_text(f"\n{KEY}\nanother\n")
    given = ("--key-file", str(file)) if how == "file" else ("--key-env", "MY_KEY")
    code, out, err = verify(engine.url, *given, MY_KEY=KEY)

    assert (0, "") == (code, err)
    assert "POST /rerank without a key" in out.splitlines()[0]
    assert KEY not in out


def test_an_endpoint_that_repeats_the_key_does_not_bring_it_out(engine: EngineDouble) -> None:
    engine.keys = frozenset({"other"})
    code, out, err = verify(engine.url, "--model", f"model-{KEY}", "--key-env", "MY_KEY", MY_KEY=KEY)

    assert 1 == code
    assert KEY not in out + err


def test_a_key_that_nobody_asks_for_is_no_protection(engine: EngineDouble) -> None:
    code, out, _ = verify(engine.url, "--key-env", "MY_KEY", MY_KEY=KEY)

    assert 1 == code
    assert "KeyNotEnforced" in out


def test_a_path_is_thrown_away_as_milvus_does(engine: EngineDouble) -> None:
    code, _, err = verify(f"{engine.url}/v1/rerank?x=1")

    assert 0 == code
    assert f"Milvus throws '/v1/rerank?x=1' away and calls {engine.url}/rerank. So that host is asked." in err
    assert {"/rerank", "/v1/rerank", "/v2/rerank", "/v1/models"} >= {r.path for r in engine.requests}


def test_a_slash_at_the_end_is_no_path(engine: EngineDouble) -> None:
    assert (0, "") == verify(f"{engine.url}/")[::2]


UNUSABLE = {
    "no scheme": (["localhost:8000"], "names no host that can be asked. Write it like http://localhost:8000."),
    "no host": (["http://"], "names no host"),
    "another scheme": (["grpc://h:1"], "names no host"),
    "no port": (["http://h:many"], "Write it like http://localhost:8000."),
    "a password": (["http://me:secret@h:1"], "give it with --key-file"),
    "no such file": (["http://h:1", "--key-file", "/nowhere"], "--key-file /nowhere: "),
    "an empty variable": (["http://h:1", "--key-env", "NO_SUCH"], "--key-env NO_SUCH holds no key that can be sent"),
    "two keys": (["http://h:1", "--key-env", "A", "--key-file", "b"], "give one of them"),
    "a language that has no questions": (["http://h:1", "--language", "xx"], "'xx' is not one of"),
    "a limit of nothing": (["http://h:1", "--max-length", "0"], "--max-length"),
}


@pytest.mark.parametrize(("arguments", "complaint"), UNUSABLE.values(), ids=UNUSABLE)
def test_what_cannot_be_asked_ends_with_two_and_the_remedy(arguments: list[str], complaint: str) -> None:
    code, out, err = verify(arguments[0], *arguments[1:], COLUMNS="200")

    assert (2, "") == (code, out)
    assert complaint in err
    assert "secret" not in err
