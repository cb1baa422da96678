"""What the operator may do, and what people may do with rerankers."""

from collections import defaultdict
from itertools import pairwise

import pytest

from rerank_operator.api import names
from rerank_operator.clients import kube
from tests.contract.chart import CHART, NAMESPACE, Object, of_kind, only, render

READ = ["get", "list", "watch"]
WRITE = ["create", "update", "delete"]
RIGHTS = {
    "rerank-operator.io/rerankservices": READ,
    "rerank-operator.io/rerankservices/status": ["patch"],
    "rerank-operator.io/rerankservices/finalizers": ["update"],
    "apps/deployments": [*READ, *WRITE],
    "apps/controllerrevisions": [*READ, "create", "delete"],
    "core/services": [*READ, *WRITE],
    "core/configmaps": [*READ, *WRITE],
    "core/pods": [*READ, "delete"],
    "core/pods/log": ["get"],
    "core/persistentvolumeclaims": ["get", "create"],
    "core/events": ["create", "list"],
    "policy/poddisruptionbudgets": [*READ, *WRITE],
    "autoscaling/horizontalpodautoscalers": [*READ, *WRITE],
    "keda.sh/scaledobjects": ["get", "list", *WRITE],
    "networking.k8s.io/ingresses": [*READ, *WRITE],
    "gateway.networking.k8s.io/httproutes": ["get", "list", *WRITE],
    "core/namespaces": ["get"],
    "core/secrets": ["get"],
}
CLUSTER_SCOPED = {"ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", "Namespace"}
VIEW, EDIT = "rerank-operator-view", "rerank-operator-edit"


def rights(role: Object) -> dict[str, list[str]]:
    granted: dict[str, list[str]] = defaultdict(list)
    for rule in role["rules"]:
        assert rule.keys() == {"apiGroups", "resources", "verbs"}
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                granted[f"{group or 'core'}/{resource}"] += rule["verbs"]
    return dict(granted)


def is_of_operator(role: Object) -> bool:
    return bool(role["metadata"]["name"] == "rerank-operator")


def cluster_role(name: str) -> Object:
    (found,) = [role for role in of_kind(render(), "ClusterRole") if role["metadata"]["name"] == name]
    return found


def test_the_operator_may_do_exactly_this_in_the_cluster() -> None:
    assert RIGHTS == rights(cluster_role("rerank-operator"))


def test_every_kind_that_the_client_touches_has_a_right() -> None:
    for kind in kube.KINDS.values():
        group = kind.api_version.rpartition("/")[0] or "core"
        assert f"{group}/{kind.plural}" in RIGHTS


def test_every_rule_says_why() -> None:
    template = (CHART / "templates" / "_helpers.tpl").read_text(encoding="utf-8")
    lines = template.partition('define "rerank-operator.rules"')[2].splitlines()
    before_rules = [above for above, line in pairwise(lines) if line.startswith("- apiGroups")]
    # The rights to delete pods and to write Secrets have a reason of their own.
    assert len(RIGHTS) + 2 == len(before_rules)
    assert all(line.startswith("# ") for line in before_rules)


def test_the_rights_are_bound_to_the_operators_service_account() -> None:
    binding = only(render(), "ClusterRoleBinding")
    assert "rerank-operator" == binding["roleRef"]["name"]
    account = {"kind": "ServiceAccount", "name": "rerank-operator", "namespace": NAMESPACE}
    assert [account] == binding["subjects"]


LEFT_OUT: dict[str, dict[str, list[str]]] = {
    "access.readSecrets": {"core/secrets": []},
    "diagnosis.readLogs": {"core/pods/log": []},
    "verification.restartPods": {"core/pods": READ},
}


every_scope = pytest.mark.parametrize("scope", [[], ["watchNamespaces={search}"]], ids=["cluster", "namespace"])


@every_scope
@pytest.mark.parametrize(("value", "changed"), LEFT_OUT.items(), ids=LEFT_OUT)
def test_a_right_that_not_everybody_wants_to_give_can_be_left_out(
    value: str, changed: dict[str, list[str]], scope: list[str]
) -> None:
    assert {resource: verbs for resource, verbs in {**RIGHTS, **changed}.items() if verbs} == rights_of_operator(
        f"{value}=false", *scope
    )


def rights_of_operator(*settings: str) -> dict[str, list[str]]:
    objects = render(*settings)
    (role,) = [role for role in (*of_kind(objects, "ClusterRole"), *of_kind(objects, "Role")) if is_of_operator(role)]
    return rights(role)


def test_secrets_are_read_by_name_only_and_not_written() -> None:
    assert ["get"] == rights(cluster_role("rerank-operator"))["core/secrets"]


@every_scope
def test_secrets_are_written_only_where_somebody_asked_for_that(scope: list[str]) -> None:
    granted = rights_of_operator("publish.serviceBindings=true", *scope)
    assert {**RIGHTS, "core/secrets": ["get", *WRITE]} == granted


@pytest.mark.parametrize("kind", ["Role", "RoleBinding"])
def test_with_namespaces_the_rights_are_given_in_each_of_them(kind: str) -> None:
    found = of_kind(render("watchNamespaces={search,staging}"), kind)
    assert ["search", "staging"] == [role["metadata"]["namespace"] for role in found]


def test_with_namespaces_the_rights_are_the_same() -> None:
    objects = render("watchNamespaces={search,staging}")
    assert [RIGHTS, RIGHTS] == [rights(role) for role in of_kind(objects, "Role")]


def test_with_namespaces_nothing_in_the_cluster_is_bound_to_the_operator() -> None:
    objects = render("watchNamespaces={search}")
    assert [] == of_kind(objects, "ClusterRoleBinding")
    assert [VIEW, EDIT] == [role["metadata"]["name"] for role in of_kind(objects, "ClusterRole")]


def test_an_install_without_any_cluster_scoped_object_is_possible() -> None:
    objects = render("watchNamespaces={search}", "crds.install=false", "rbac.aggregateToDefaultRoles=false")
    assert CLUSTER_SCOPED.isdisjoint(rendered["kind"] for rendered in objects)


def test_roles_can_be_left_to_somebody_else() -> None:
    objects = render("rbac.create=false", "rbac.aggregateToDefaultRoles=false")
    assert {"ClusterRole", "ClusterRoleBinding"}.isdisjoint(rendered["kind"] for rendered in objects)


@pytest.mark.parametrize(
    ("role", "aggregated_to"),
    [(VIEW, {"view", "edit", "admin"}), (EDIT, {"edit", "admin"})],
    ids=["reading", "writing"],
)
def test_people_get_rights_on_rerankers_with_the_roles_they_have(role: str, aggregated_to: set[str]) -> None:
    prefix = "rbac.authorization.k8s.io/aggregate-to-"
    labels = cluster_role(role)["metadata"]["labels"]
    assert aggregated_to == {label.removeprefix(prefix) for label in labels if label.startswith(prefix)}


def test_reading_never_includes_writing() -> None:
    assert all(verbs == READ for verbs in rights(cluster_role(VIEW)).values())


def test_whoever_edits_rerankers_may_scale_them_but_not_write_their_status() -> None:
    granted = rights(cluster_role(EDIT))
    assert {f"{names.GROUP}/rerankservices", f"{names.GROUP}/rerankservices/scale"} == granted.keys()
