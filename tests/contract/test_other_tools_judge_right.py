"""Argo CD and Flux make the right thing of a status as the operator writes it.

The rule for Argo CD is that of docs/troubleshooting.md, run by a real Lua 5.1, which is what Argo CD's own Lua speaks.
Flux asks kstatus, which is a Go library: its rules for a kind that it does not know are written down here.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import yaml
from lupa import lua51

from rerank_operator.api.conditions import ConditionType
from rerank_operator.api.reasons import Reason
from rerank_operator.api.v1alpha1.status import initial_conditions
from rerank_operator.controller.status import build_status
from rerank_operator.controller.values import Observed
from tests.builders import a_pod, a_resource, deployed, hash_of, serving, wrong
from tests.contract.chart import ROOT
from tests.contract.pages import blocks

RULE_KEY = "resource.customizations.health.rerank-operator.io_RerankService"

Object = dict[str, Any]


class Judged(NamedTuple):
    """A reranker, and what Argo CD and kstatus have to say of it."""

    resource: Callable[[], Object]
    argo_cd: str
    kstatus: str


def reported(observed: Observed) -> Object:
    """The resource with the status that the operator would write now."""
    return {**observed.resource, "status": build_status(observed)}


def starting() -> Observed:
    return deployed(pods=(a_pod(hash_of(), ready=False),))


def ranks_wrong() -> Observed:
    base = deployed()
    return dataclasses.replace(base, records=wrong(base.pods[0]))


def waits_for_a_gpu() -> Observed:
    message = "0/1 nodes are available: 1 Insufficient nvidia.com/gpu."
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    return deployed(pods=(a_pod(hash_of(), ready=False, conditions=[condition]),))


def edited_since() -> Object:
    resource = reported(serving())
    return {**resource, "metadata": {**resource["metadata"], "generation": 2}}


def went_wrong() -> Observed:
    base = serving()
    return dataclasses.replace(base, records=wrong(base.pods[0], Reason.SCORES_CONSTANT))


CASES = {
    "nobody has looked": Judged(
        lambda: {**a_resource(), "status": {"conditions": initial_conditions()}}, "Progressing", "InProgress"
    ),
    "the status is that of another spec": Judged(edited_since, "Progressing", "InProgress"),
    "the model loads": Judged(lambda: reported(starting()), "Progressing", "InProgress"),
    "no GPU is free": Judged(lambda: reported(waits_for_a_gpu()), "Progressing", "InProgress"),
    "the model ranks wrong": Judged(lambda: reported(ranks_wrong()), "Degraded", "Failed"),
    "it serves": Judged(lambda: reported(serving()), "Healthy", "Current"),
    "it serves, and nobody verified it": Judged(
        lambda: reported(serving(verification={"mode": "Disabled"})), "Healthy", "Current"
    ),
    "a pod that served went wrong": Judged(lambda: reported(went_wrong()), "Degraded", "Failed"),
    "it is suspended": Judged(lambda: reported(serving(suspend=True)), "Suspended", "InProgress"),
}
every_case = pytest.mark.parametrize("case", CASES)


def argo_cd(resource: Object) -> Object:
    """What the rule of the page returns."""
    (rule,) = (
        config_map["data"][RULE_KEY]
        for block in blocks(ROOT / "docs" / "troubleshooting.md")
        if block.language == "yaml"
        for config_map in [yaml.safe_load(block.text)]
    )
    lua = lua51.LuaRuntime(register_eval=False, register_builtins=False)
    lua.globals()["obj"] = lua.table_from(resource, recursive=True)
    return dict(lua.execute(rule))


def kstatus(resource: Object) -> str:
    """What kstatus says of a kind that it has no rule for (cli-utils: core.go and status.go)."""
    status = resource.get("status", {})
    generation = resource["metadata"]["generation"]
    if status.get("observedGeneration", generation) != generation:
        return "InProgress"
    conditions = {condition["type"]: condition["status"] for condition in status.get("conditions", [])}
    for kind, verdict in (("Reconciling", "InProgress"), ("Stalled", "Failed")):
        if conditions.get(kind) == "True":
            return verdict
    return "Current" if conditions.get("Ready", "True") == "True" else "InProgress"


@every_case
def test_argo_cd_says(case: str) -> None:
    assert CASES[case].argo_cd == argo_cd(CASES[case].resource())["status"]


@every_case
def test_flux_says(case: str) -> None:
    assert CASES[case].kstatus == kstatus(CASES[case].resource())


def test_argo_cd_shows_the_message_of_ready() -> None:
    resource = reported(ranks_wrong())
    (ready,) = [c for c in resource["status"]["conditions"] if c["type"] == ConditionType.READY]
    assert ready["message"] == argo_cd(resource)["message"]


def test_argo_cd_waits_for_a_resource_without_a_status() -> None:
    assert "Progressing" == argo_cd(a_resource())["status"]


def test_kubectl_wait_finds_both_conditions_in_every_status() -> None:
    for judged in CASES.values():
        conditions = judged.resource()["status"]["conditions"]
        assert {"Ready", "Stalled"} <= {condition["type"] for condition in conditions}
