"""The steps of the demo, in their order; each can be repeated and goes on from what is there already."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml
from rich.console import Console

from tests.demo import kubernetes
from tests.demo.errors import DemoError
from tests.demo.kubernetes import Cluster
from tests.demo.progress import Step, step
from tests.demo.reranker import Reranker, readiness

REPOSITORY: Final = Path(__file__).resolve().parents[2]
CHART: Final = REPOSITORY / "charts" / "rerank-operator"
RELEASE: Final = "rerank-operator"
OPERATOR_NAMESPACE: Final = "rerank-operator-system"
MODEL_VOLUME: Final = "demo-models"
READY_SECONDS: Final = 600.0
GONE_IN: Final = "--timeout=3m"
POLL_SECONDS: Final = 1.0


def claim_namespace(cluster: Cluster, name: str, *, started_cluster: bool) -> None:
    """Create the demo's namespace, in which only restricted pods may run; refuse one that is not ours."""
    found = cluster.get("namespace", name)
    if found is not None and not kubernetes.is_created_by_demo(found):
        raise DemoError(f"namespace {name} exists and the demo did not create it: delete or rename it first")
    if found is None:
        wanted = kubernetes.namespace(name, kubernetes.RESTRICTED)
        wanted["metadata"]["annotations"] = {kubernetes.STARTED_CLUSTER: str(started_cluster).lower()}
        cluster.apply(wanted)


def install_operator(cluster: Cluster, image: str, console: Console) -> None:
    """Install the chart, or upgrade it in our own cluster; an operator of somebody else is left alone."""
    with step(f"Install the operator into {OPERATOR_NAMESPACE}", console) as running:
        found = cluster.get("namespace", OPERATOR_NAMESPACE)
        if found is not None and not cluster.ours and not kubernetes.is_created_by_demo(found):
            running.outcome = "it is there already and is left as it is"
            return
        if found is None:
            cluster.apply(kubernetes.namespace(OPERATOR_NAMESPACE, kubernetes.RESTRICTED))
        repository, _, tag = image.rpartition(":")
        running.say(f"helm upgrade --install, image {image}, until the operator is ready")
        try:
            cluster.helm(
                *("upgrade", "--install", RELEASE, str(CHART), "--namespace", OPERATOR_NAMESPACE),
                *("--set-string", f"image.repository={repository}", "--set-string", f"image.tag={tag}"),
                *("--wait", "--timeout", "3m"),
            )
        except DemoError as error:
            raise DemoError(f"{error}\n{_last_words_of_operator(cluster)}") from error
        running.outcome = image


def _last_words_of_operator(cluster: Cluster) -> str:
    """Return the state of the operator's pod and the end of its log: helm says only that it is not ready."""
    words = []
    for command in (("get", "pods"), ("logs", f"deployment/{RELEASE}", "--tail", "5")):
        with contextlib.suppress(DemoError):
            words.append(cluster.kubectl(*command, "--namespace", OPERATOR_NAMESPACE).strip())
    return "\n".join(words)


def create_reranker(cluster: Cluster, reranker: Reranker, models: Path | None, console: Console) -> None:
    """Apply the resource, and first the volume with the model if it is a folder of this machine."""
    with step(f"kubectl apply: RerankService {reranker.name}", console) as running:
        if models is not None:
            claim = reranker.claim_name
            cluster.apply(*kubernetes.model_volume(MODEL_VOLUME, claim, reranker.namespace, models))
        cluster.apply(reranker.manifest)
        running.show(_as_yaml(reranker.manifest))


def wait_until_ready(
    cluster: Cluster, reranker: Reranker, console: Console, seconds: float = READY_SECONDS
) -> dict[str, Any]:
    """Show each change of the resource until its Ready condition is True; return the resource.

    Raises DemoError with the condition's message when it is not Ready in time.
    """
    deadline = time.monotonic() + seconds
    shown: tuple[str, ...] = ()
    with step(f"Wait until {reranker.name} is verified and published", console) as running:
        running.show(_row("SECONDS", "NAME", "READY", "REASON", "CONFIG"))
        started = time.monotonic()
        while True:
            found = cluster.get("rerankservice", reranker.name, reranker.namespace)
            if found is None:
                raise DemoError(f"RerankService {reranker.name} is gone: somebody deleted it")
            ready = readiness(found)
            columns = (reranker.name, ready.status, ready.reason, ready.config_map)
            if columns != shown:
                running.show(_row(f"{time.monotonic() - started:.0f}", *columns))
                shown = columns
            if ready.is_ready:
                return found
            if time.monotonic() > deadline:
                raise DemoError(f"{reranker.name} is not Ready after {seconds:.0f} s: {ready.reason}: {ready.message}")
            running.say(ready.message)
            time.sleep(POLL_SECONDS)


def read_publication(cluster: Cluster, resource: dict[str, Any]) -> dict[str, str]:
    """Return the data of the published ConfigMap."""
    name, namespace = resource["status"]["configMapName"], resource["metadata"]["namespace"]
    found = cluster.get("configmap", name, namespace)
    if found is None:
        raise DemoError(f"ConfigMap {namespace}/{name} is gone: somebody deleted it")
    data: dict[str, str] = found["data"]
    return data


@contextlib.contextmanager
def reachable_engine(cluster: Cluster, reranker: Reranker, console: Console) -> Iterator[str]:
    """Yield an address of the Service that works from this machine; say why it is not the published one."""
    service = cluster.get("service", reranker.name, reranker.namespace)
    if service is None:
        raise DemoError(f"Service {reranker.namespace}/{reranker.name} is gone: somebody deleted it")
    address, port = service["spec"]["clusterIP"], service["spec"]["ports"][0]["port"]
    published = f"{reranker.name}.{reranker.namespace}.svc"
    if cluster.ours:
        _aside(console, "This machine reaches the cluster's addresses, but not its names:")
        _aside(console, f"{published} is replaced by {address}, the address of the Service.")
        yield f"http://{address}:{port}"
        return
    with cluster.forwarded(reranker.name, reranker.namespace, port) as local:
        _aside(console, "This machine does not reach the cluster's addresses:")
        _aside(console, f"{published}:{port} is replaced by {local}, through kubectl port-forward.")
        yield local


def remove_demo(cluster: Cluster, namespace: str, console: Console) -> bool:
    """Delete what the demo created, and nothing else; return whether the demo had started the cluster."""
    started_cluster = False
    found = cluster.get("namespace", namespace)
    if found is not None and kubernetes.is_created_by_demo(found):
        started_cluster = found["metadata"].get("annotations", {}).get(kubernetes.STARTED_CLUSTER) == "true"
        with step(f"Delete namespace {namespace}", console):
            cluster.kubectl("delete", "namespace", namespace, "--wait", GONE_IN)
            cluster.kubectl("delete", "persistentvolume", MODEL_VOLUME, "--ignore-not-found", "--wait", GONE_IN)
    if kubernetes.is_created_by_demo(cluster.get("namespace", OPERATOR_NAMESPACE)):
        with step("Uninstall the operator", console) as running:
            cluster.helm(
                "uninstall", RELEASE, "--namespace", OPERATOR_NAMESPACE, "--ignore-not-found", "--wait", GONE_IN
            )
            cluster.kubectl("delete", "namespace", OPERATOR_NAMESPACE, "--wait", GONE_IN)
            _delete_crd(cluster, running)
    return started_cluster


def _aside(console: Console, text: str) -> None:
    console.print(text, style="dim", highlight=False, soft_wrap=True)


def _delete_crd(cluster: Cluster, running: Step) -> None:
    """Delete the CRD unless that would delete somebody's rerankers."""
    others = [item["metadata"] for item in cluster.get_all("rerankservices.rerank-operator.io")]
    if others:
        names = ", ".join(f"{other['namespace']}/{other['name']}" for other in others)
        running.outcome = f"the CRD stays, because it would take these along: {names}"
        return
    cluster.kubectl("delete", "customresourcedefinition", "rerankservices.rerank-operator.io", "--ignore-not-found")


def _as_yaml(manifest: dict[str, Any]) -> str:
    return yaml.safe_dump(manifest, sort_keys=False).strip()


def _row(*columns: str) -> str:
    """Write one line in columns of fixed width: each is printed when it happens, before the next is known."""
    return "  ".join(f"{column:<{width}}" for width, column in zip((7, 10, 8, 24, 24), columns, strict=True))
