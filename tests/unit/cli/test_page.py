"""docs/cli.md describes every command, option, exit code and JSON key that there is."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_group
from typer.testing import CliRunner

from rerank_operator.cli import cli
from rerank_operator.cli.model_report import Status
from rerank_operator.cli.outlook import Action
from rerank_operator.cli.verify import build_report
from rerank_operator.cli.watch import Outcome
from rerank_operator.rerank.finding import Finding
from rerank_operator.rerank.verdict import RIGHT
from tests.contract.models_page import fields
from tests.doubles.engine import EngineDouble
from tests.unit.cli.scripted_cluster import ScriptedCluster, a_model_pod, a_reranker, an_event, ready
from tests.unit.cli.test_fit import GPU, a_node
from tests.unit.cli.test_render import MINIMAL

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (\S+)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
COMMANDS = {name: command for name, command in get_group(cli).commands.items() if not command.hidden}


def coded(text: str) -> set[str]:
    """Everything that is set as code in a line."""
    return set(re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)))


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_a_section_with_an_example(name: str) -> None:
    assert re.search(rf"^(rerank-operator|kubectl rerank) {name}\b", SECTIONS[name], re.MULTILINE)


@pytest.mark.parametrize("name", COMMANDS)
def test_each_option_is_in_the_section_of_its_command(name: str) -> None:
    options = {option for parameter in COMMANDS[name].params for option in parameter.opts if option.startswith("--")}
    listed = {code.split()[0] for code in coded(SECTIONS[name]) if code.startswith("--")}
    assert options == listed


@pytest.mark.parametrize(
    ("name", "codes"),
    [("verify", "012"), ("doctor", "012"), ("watch", "0123"), ("catalog", "012"), ("render", "01"), ("plan", "012")],
)
def test_each_exit_code_has_a_row(name: str, codes: str) -> None:
    assert list(codes) == re.findall(r"^\| `(\d)` \|", SECTIONS[name], re.MULTILINE)


@pytest.mark.parametrize(("block", "mode"), [(1, "right"), (2, "overlong-rejected")], ids=["right", "wrong"])
def test_what_verify_prints_on_the_page_is_what_it_prints(block: int, mode: str) -> None:
    _, right, wrong = re.findall(r"^```text\n(.*?)^```$", SECTIONS["verify"], re.MULTILINE | re.DOTALL)
    with EngineDouble(model="BAAI/bge-reranker-v2-m3") as engine:
        engine.mode = mode
        arguments = ["verify", engine.url, "--model", "BAAI/bge-reranker-v2-m3", "--language", "en"]
        printed = CliRunner().invoke(cli, arguments).stdout.replace(engine.url, "http://localhost:8000")

    assert without_times({1: right, 2: wrong}[block]) == without_times(printed)


def without_times(text: str) -> str:
    return re.sub(r"^\d+\.\d+ s", "0.0 s", text, flags=re.MULTILINE)


def keys_of(value: Any) -> set[str]:
    """The keys of a JSON value at every depth."""
    if isinstance(value, list):
        return {key for item in value for key in keys_of(item)}
    if isinstance(value, dict):
        return set(value) | {key for item in value.values() for key in keys_of(item)}
    return set()


def test_each_key_of_doctor_is_listed() -> None:
    cluster = ScriptedCluster()
    cluster.put("search", a_reranker(ready()))
    cluster.put("search", a_model_pod({"phase": "Pending"}))
    cluster.events["uid-of-bge"] = [an_event("Pulling", "m")]
    cluster.logs["bge-1", False] = "Loading"
    with cluster.connected():
        shown = CliRunner().invoke(cli, ["doctor", "bge", "-n", "search", "-o", "json"]).stdout
    report = json.loads(shown)
    of_the_api = keys_of(report.pop("conditions"))

    assert set() == keys_of(report) - coded(SECTIONS["doctor"])
    assert {"type", "status", "reason", "message"} <= of_the_api


def test_each_key_and_outcome_of_watch_is_listed() -> None:
    cluster = ScriptedCluster()
    cluster.changes = [a_reranker(ready())]
    with cluster.connected():
        shown = CliRunner().invoke(cli, ["watch", "bge", "-o", "json"]).stdout

    assert set() == keys_of(json.loads(shown.splitlines()[0])) - coded(SECTIONS["watch"])
    assert set() == {outcome.value for outcome in Outcome} - coded(SECTIONS["watch"])


def test_each_key_of_catalog_is_listed() -> None:
    report = json.loads(CliRunner().invoke(cli, ["catalog", "BAAI/bge-reranker-v2-m3", "-o", "json"]).stdout)

    assert set() == report.keys() - set(fields()) - coded(SECTIONS["catalog"])
    assert {status.value for status in Status} <= coded(SECTIONS["catalog"])


@pytest.mark.parametrize(
    ("block", "arguments"),
    [
        (1, ["--language", "de", "--memory", "4Gi", "--commercial"]),
        (2, ["mixedbread-ai/mxbai-rerank-base-v1"]),
    ],
    ids=["list", "one"],
)
def test_what_catalog_prints_on_the_page_is_what_it_prints(block: int, arguments: list[str]) -> None:
    shown = re.findall(r"^```text\n(.*?)^```$", SECTIONS["catalog"], re.MULTILINE | re.DOTALL)
    assert shown[block] == CliRunner().invoke(cli, ["catalog", *arguments]).stdout


def test_each_key_and_action_of_plan_is_listed(tmp_path: Path) -> None:
    cluster = ScriptedCluster()
    cluster.put(None, {"kind": "Node", **a_node("node-1", 1)})
    file = tmp_path / "bge.yaml"
    file.write_text(MINIMAL)
    with cluster.connected():
        shown = CliRunner().invoke(cli, ["plan", str(file), "-o", "json"]).stdout
    keys = keys_of(json.loads(shown)) - {GPU}

    assert set() == keys - coded(SECTIONS["plan"])
    assert {action.value for action in Action} <= coded(SECTIONS["plan"])


def test_each_key_of_verify_is_listed() -> None:
    with EngineDouble() as engine:
        shown = CliRunner().invoke(cli, ["verify", engine.url, "-o", "json"]).stdout

    assert set() == keys_of(json.loads(shown)) - coded(SECTIONS["verify"])


def test_a_finding_without_anything_has_the_same_keys_as_any_other() -> None:
    with EngineDouble() as engine:
        shown = CliRunner().invoke(cli, ["verify", engine.url, "-o", "json"]).stdout
    assert json.loads(shown).keys() == build_report("http://h:1", Finding(RIGHT)).keys()
