"""Install, upgrade and uninstall with the real Helm, on a control plane that has no CRD of ours yet."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.cluster.control_plane import ControlPlane
from tests.cluster.errors import KubectlError
from tests.cluster.processes import wait_until
from tests.contract.chart import CHART, NAMESPACE, RELEASE, ChartError, helm
from tests.contract.generate import CHART_CRD_FILE, CRD_FILE, INSTALL_FILE
from tests.contract.samples import SAMPLES

pytestmark = pytest.mark.control_plane

CRD = "rerankservices.rerank-operator.io"
OPERATOR = f"system:serviceaccount:{NAMESPACE}:{RELEASE}"
SECONDS = 30.0
(MINIMAL,) = (file for file in SAMPLES if file.stem == "minimal")


class Cluster:
    """A control plane, and Helm pointed at it."""

    def __init__(self, control_plane: ControlPlane) -> None:
        self._kubeconfig = str(control_plane.kubeconfig)
        self.kubectl = control_plane.kubectl

    def helm(self, *arguments: str) -> str:
        return helm(*arguments, "--namespace", NAMESPACE, "--kubeconfig", self._kubeconfig)

    def install(self, *flags: str, chart: Path = CHART) -> None:
        self.helm("install", RELEASE, str(chart), *flags)

    def uninstall(self) -> None:
        self.helm("uninstall", RELEASE, "--ignore-not-found")

    def allows(self, user: str, *question: str) -> bool:
        try:
            self.kubectl("auth", "can-i", *question, f"--as={user}")
        except KubectlError:
            return False
        return True

    def columns(self) -> list[str]:
        crd = json.loads(self.kubectl("get", "crd", CRD, "-o", "json"))
        return [column["name"] for column in crd["spec"]["versions"][0]["additionalPrinterColumns"]]


@pytest.fixture(scope="module")
def empty_control_plane() -> Iterator[ControlPlane]:
    with ControlPlane() as running:
        running.kubectl("create", "namespace", NAMESPACE)
        running.kubectl("label", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=restricted")
        for namespace in ("search", "staging"):
            running.kubectl("create", "namespace", namespace)
        yield running


@pytest.fixture
def cluster(empty_control_plane: ControlPlane) -> Iterator[Cluster]:
    running = Cluster(empty_control_plane)
    yield running
    running.uninstall()
    running.kubectl("delete", "crd", CRD, "--ignore-not-found")


def create_reranker(cluster: Cluster, namespace: str = "search") -> None:
    cluster.kubectl("wait", "crd", CRD, "--for=condition=Established", f"--timeout={SECONDS:.0f}s")
    cluster.kubectl("create", "-n", namespace, "-f", str(MINIMAL))


def rerankers(cluster: Cluster) -> list[str]:
    return cluster.kubectl("get", "rrs", "-A", "-o", "name").split()


def test_the_operators_pod_is_admitted_at_the_restricted_level(cluster: Cluster) -> None:
    cluster.install()
    pods = ("get", "pods", "-n", NAMESPACE, "-o", "jsonpath={.items[*].status.phase}")
    wait_until(lambda: cluster.kubectl(*pods) == "Pending", "the operator has a pod", seconds=SECONDS)


def test_the_crd_and_the_rerankers_survive_an_uninstall_and_a_new_install(cluster: Cluster) -> None:
    cluster.install()
    create_reranker(cluster)
    cluster.uninstall()
    assert ["rerankservice.rerank-operator.io/bge"] == rerankers(cluster)
    cluster.install()
    assert ["rerankservice.rerank-operator.io/bge"] == rerankers(cluster)


def test_an_upgrade_of_the_chart_upgrades_the_crd(cluster: Cluster, tmp_path: Path) -> None:
    older = tmp_path / "older"
    shutil.copytree(CHART, older)
    file = older / CHART_CRD_FILE.relative_to(CHART)
    crd = yaml.safe_load(file.read_text(encoding="utf-8"))
    crd["spec"]["versions"][0]["additionalPrinterColumns"].pop(0)
    file.write_text(yaml.safe_dump(crd))
    cluster.install(chart=older)
    assert "Ready" not in cluster.columns()
    cluster.helm("upgrade", RELEASE, str(CHART))
    assert "Ready" in cluster.columns()


def test_a_crd_applied_by_hand_is_taken_over_only_when_asked(cluster: Cluster) -> None:
    cluster.kubectl("apply", "--server-side", "-f", str(CRD_FILE))
    with pytest.raises(ChartError, match="cannot be imported into the current release"):
        cluster.install()
    cluster.uninstall()
    cluster.install("--take-ownership")


def test_a_crd_of_somebody_else_is_left_alone(cluster: Cluster) -> None:
    cluster.kubectl("apply", "--server-side", "-f", str(CRD_FILE))
    cluster.install("--set", "crds.install=false")
    cluster.uninstall()
    assert CRD in cluster.kubectl("get", "crd", "-o", "name")


@pytest.fixture
def installed_by_kubectl(cluster: Cluster) -> Iterator[Cluster]:
    cluster.kubectl("apply", "--server-side", "-f", str(INSTALL_FILE))
    yield cluster
    # All but the namespace, which the other tests use.
    _, *objects = yaml.safe_load_all(INSTALL_FILE.read_text(encoding="utf-8"))
    cluster.kubectl("delete", "-f", "-", stdin=yaml.safe_dump_all(objects))


def test_the_manifest_does_what_the_chart_does(installed_by_kubectl: Cluster) -> None:
    create_reranker(installed_by_kubectl)
    assert ["rerankservice.rerank-operator.io/bge"] == rerankers(installed_by_kubectl)
    assert installed_by_kubectl.allows(OPERATOR, "list", "rerankservices", "-A")


def test_an_operator_for_the_cluster_may_work_everywhere(cluster: Cluster) -> None:
    cluster.install()
    assert cluster.allows(OPERATOR, "watch", "rerankservices", "-A")
    assert cluster.allows(OPERATOR, "create", "deployments.apps", "-n", "staging")


def test_an_operator_may_get_a_secret_whose_name_it_knows_and_find_none(cluster: Cluster) -> None:
    cluster.install()
    assert cluster.allows(OPERATOR, "get", "secrets/rerank-keys", "-n", "staging")
    for verb in ("list", "watch", "create", "update", "patch", "delete"):
        assert not cluster.allows(OPERATOR, verb, "secrets", "-n", "staging"), verb


def test_an_operator_reads_no_secret_where_that_is_not_wanted(cluster: Cluster) -> None:
    cluster.install("--set", "access.readSecrets=false")
    assert not cluster.allows(OPERATOR, "get", "secrets/rerank-keys", "-n", "staging")


def test_an_operator_writes_secrets_where_that_is_wanted(cluster: Cluster) -> None:
    cluster.install("--set", "publish.serviceBindings=true")
    for verb in ("create", "update", "delete"):
        assert cluster.allows(OPERATOR, verb, "secrets", "-n", "staging"), verb


def test_an_operator_for_one_namespace_may_get_that_namespace_and_no_other(cluster: Cluster) -> None:
    cluster.install("--set", "watchNamespaces={search}")
    assert "namespace/search" in cluster.kubectl("get", "namespace", "search", "-o", "name", f"--as={OPERATOR}")
    for refused in (["staging"], []):
        with pytest.raises(KubectlError, match="forbidden"):
            cluster.kubectl("get", "namespace", *refused, f"--as={OPERATOR}")


def test_an_operator_for_one_namespace_may_do_nothing_elsewhere(cluster: Cluster) -> None:
    cluster.install("--set", "watchNamespaces={search}")
    assert cluster.allows(OPERATOR, "list", "rerankservices", "-n", "search")
    assert cluster.allows(OPERATOR, "patch", "rerankservices", "--subresource=status", "-n", "search")
    for elsewhere in (["-n", "staging"], ["-n", NAMESPACE], ["-A"]):
        assert not cluster.allows(OPERATOR, "list", "rerankservices", *elsewhere)
        assert not cluster.allows(OPERATOR, "create", "configmaps", *elsewhere)


def test_an_administrator_of_one_namespace_can_install_what_is_left(cluster: Cluster) -> None:
    cluster.kubectl("create", "rolebinding", "admin", "--clusterrole=admin", "--user=jane", "-n", NAMESPACE)
    left_to_others = ["crds.install=false", "rbac.create=false", "rbac.aggregateToDefaultRoles=false"]
    settings = ["watchNamespaces={search}", *left_to_others]
    cluster.install("--kube-as-user=jane", *(f"--set={setting}" for setting in settings))
    assert "rerank-operator" in cluster.kubectl("get", "deployments", "-n", NAMESPACE, "-o", "name")


@pytest.mark.parametrize(("role", "may_create"), [("view", False), ("edit", True), ("admin", True)])
def test_people_may_use_rerankers_as_they_may_use_deployments(cluster: Cluster, role: str, *, may_create: bool) -> None:
    cluster.install()
    cluster.kubectl("create", "rolebinding", role, f"--clusterrole={role}", f"--user={role}er", "-n", "search")
    read = ("list", "rerankservices", "-n", "search")
    wait_until(lambda: cluster.allows(f"{role}er", *read), f"{role} includes rerankers", seconds=SECONDS)
    assert may_create == cluster.allows(f"{role}er", "create", "rerankservices", "-n", "search")
    assert may_create == cluster.allows(f"{role}er", "patch", "rerankservices", "--subresource=scale", "-n", "search")
    assert not cluster.allows(f"{role}er", "create", "rerankservices", "-n", "staging")
