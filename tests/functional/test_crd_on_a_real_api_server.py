"""Rules of the CRD are CEL and OpenAPI: only an API server can say whether they hold."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from rerank_operator.api.conditions import WHERE_IT_APPLIES, ConditionType
from rerank_operator.api.reasons import Reason
from tests.cluster.control_plane import ControlPlane
from tests.cluster.errors import KubectlError
from tests.contract.generate import CRD_FILE
from tests.contract.samples import INVALID_SAMPLES, SAMPLES, promise, read
from tests.produces import produces

pytestmark = pytest.mark.control_plane

CRD = "rerankservices.rerank-operator.io"


def a_reranker(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "rerank-operator.io/v1alpha1",
        "kind": "RerankService",
        "metadata": {"name": "bge"},
        "spec": {"model": {"name": "BAAI/bge-reranker-v2-m3"}, **spec},
    }


def create(control_plane: ControlPlane, namespace: str, resource: dict[str, Any], *flags: str) -> dict[str, Any]:
    """Create a resource and return what the API server made of it."""
    text = yaml.safe_dump(resource)
    printed = control_plane.kubectl("create", "-n", namespace, "-f", "-", "-o", "json", *flags, stdin=text)
    created: dict[str, Any] = json.loads(printed)
    return created


def dry_run(control_plane: ControlPlane, file: Path) -> dict[str, Any]:
    """What the API server would make of a sample; nothing is stored, so every sample fits into one namespace."""
    resource = read(file)
    resource["metadata"].pop("namespace", None)
    return create(control_plane, "default", resource, "--dry-run=server")


def test_the_crd_is_accepted_without_reservations(control_plane: ControlPlane) -> None:
    crd = json.loads(control_plane.kubectl("get", "crd", CRD, "-o", "json"))
    conditions = {condition["type"]: condition["status"] for condition in crd["status"]["conditions"]}
    assert {"NamesAccepted": "True", "Established": "True"} == conditions


def test_applying_the_crd_again_changes_nothing(control_plane: ControlPlane) -> None:
    control_plane.kubectl("apply", "--server-side", "-f", str(CRD_FILE))
    assert "1" == control_plane.kubectl("get", "crd", CRD, "-o", "jsonpath={.metadata.generation}")


@pytest.mark.parametrize("file", SAMPLES, ids=lambda file: file.stem)
def test_a_sample_is_accepted(control_plane: ControlPlane, file: Path) -> None:
    accepted = dry_run(control_plane, file)
    assert read(file)["spec"]["model"]["name"] == accepted["spec"]["model"]["name"]


@pytest.mark.parametrize("file", INVALID_SAMPLES, ids=lambda file: file.stem)
def test_an_invalid_sample_is_refused_with_the_promised_message(control_plane: ControlPlane, file: Path) -> None:
    with pytest.raises(KubectlError) as refused:
        dry_run(control_plane, file)
    assert promise(file) in str(refused.value)


@produces(Reason.PENDING, by="API server")
def test_a_new_reranker_says_that_no_operator_has_looked_at_it(control_plane: ControlPlane, namespace: str) -> None:
    conditions = create(control_plane, namespace, a_reranker())["status"]["conditions"]
    always = [kind for kind in ConditionType if kind not in WHERE_IT_APPLIES]
    assert always == [condition["type"] for condition in conditions]
    assert {("Unknown", "Pending")} == {(c["status"], c["reason"]) for c in conditions}
    assert "Check that rerank-operator is running" in conditions[0]["message"]


def test_the_table_of_kubectl_shows_state_reason_and_model(control_plane: ControlPlane, namespace: str) -> None:
    create(control_plane, namespace, a_reranker())
    header, row = control_plane.kubectl("get", "rrs", "-n", namespace).splitlines()
    assert ["NAME", "READY", "REASON", "MODEL", "ENDPOINT", "CONFIG", "AGE"] == header.split()
    assert ["bge", "Unknown", "Pending", "BAAI/bge-reranker-v2-m3"] == row.split()[:4]


def test_rerankers_are_found_by_their_category_and_by_their_model(control_plane: ControlPlane, namespace: str) -> None:
    create(control_plane, namespace, a_reranker())
    other = a_reranker(model={"name": "BAAI/bge-reranker-base"})
    other["metadata"]["name"] = "base"
    create(control_plane, namespace, other)
    found = control_plane.kubectl("get", "rerank", "-n", namespace, "-o", "name").split()
    assert [f"rerankservice.rerank-operator.io/{name}" for name in ("base", "bge")] == found
    selector = "--field-selector=spec.model.name=BAAI/bge-reranker-base"
    selected = control_plane.kubectl("get", "rrs", "-n", namespace, "-o", "name", selector).split()
    assert ["rerankservice.rerank-operator.io/base"] == selected


def test_an_update_by_the_user_cannot_change_the_status(control_plane: ControlPlane, namespace: str) -> None:
    create(control_plane, namespace, a_reranker())
    patch = json.dumps({"status": {"endpoint": "http://elsewhere.svc:1"}})
    control_plane.kubectl("patch", "rrs", "bge", "-n", namespace, "--type=merge", "-p", patch)
    assert "" == control_plane.kubectl("get", "rrs", "bge", "-n", namespace, "-o", "jsonpath={.status.endpoint}")


def test_kubectl_scale_changes_the_replicas(control_plane: ControlPlane, namespace: str) -> None:
    create(control_plane, namespace, a_reranker())
    control_plane.kubectl("scale", "rrs/bge", "-n", namespace, "--current-replicas=1", "--replicas=3")
    replicas = control_plane.kubectl("get", "rrs", "bge", "-n", namespace, "-o", "jsonpath={.spec.replicas}")
    assert "3" == replicas


def test_an_autoscaler_reads_replicas_and_selector_from_the_scale(control_plane: ControlPlane, namespace: str) -> None:
    create(control_plane, namespace, a_reranker(replicas=2))
    status = json.dumps({"status": {"replicas": 1, "selector": "rerank-operator.io/reranker=bge"}})
    control_plane.kubectl("patch", "rrs", "bge", "-n", namespace, "--subresource=status", "--type=merge", "-p", status)
    scale = json.loads(control_plane.kubectl("get", "rrs", "bge", "-n", namespace, "--subresource=scale", "-o", "json"))
    assert {"replicas": 2} == scale["spec"]
    assert {"replicas": 1, "selector": "rerank-operator.io/reranker=bge"} == scale["status"]


def test_what_users_leave_out_stays_out_of_the_stored_spec(control_plane: ControlPlane, namespace: str) -> None:
    stored = create(control_plane, namespace, a_reranker())["spec"]
    model = {"name": "BAAI/bge-reranker-v2-m3", "trustRemoteCode": False}
    assert {"model": model, "replicas": 1, "suspend": False} == stored


def test_kubectl_explain_describes_a_field(control_plane: ControlPlane) -> None:
    explained = control_plane.kubectl("explain", "rrs.spec.model.revision")
    assert "Pin a commit" in explained
