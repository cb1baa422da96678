"""From nothing to a published reranker and a search that uses it: `python -m tests.demo up`, then `down`.

Without --kubeconfig a Kubernetes node is started on this machine, with images and a model that are made here.
With it, that cluster is used, nothing is built, and its nodes need a network to pull images and a model.
"""

import sys
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from tests.cluster.errors import ClusterError
from tests.demo import own_cluster, searching, steps
from tests.demo.errors import DemoError
from tests.demo.kubernetes import Cluster, given_cluster
from tests.demo.reranker import Reranker
from tests.engine.environment import EnvironmentUnavailableError
from tests.engine.tiny_reranker import TrainingError
from tests.engine.uv_install import UvError
from tests.images.base import ImageBuildError

NAMESPACE: Final = "demo"
SAMPLES: Final = steps.REPOSITORY / "manifests" / "samples"

# Each of these says what a person can do about it.
EXPLAINED: Final = (
    DemoError,
    ClusterError,
    EnvironmentUnavailableError,
    ImageBuildError,
    TrainingError,
    UvError,
)

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__)
console = Console()

Kubeconfig = Annotated[
    Path | None,
    typer.Option(envvar="DEMO_KUBECONFIG", help="Use this cluster instead of starting one on this machine."),
]


@app.command()
def up(
    kubeconfig: Kubeconfig = None,
    operator_image: Annotated[
        str | None,
        typer.Option(
            envvar="DEMO_OPERATOR_IMAGE",
            help="With --kubeconfig: the operator's image, REPOSITORY:TAG, where your nodes can pull it.",
        ),
    ] = None,
    sample: Annotated[
        Path, typer.Option(help="With --kubeconfig: the RerankService to create.", exists=True, dir_okay=False)
    ] = SAMPLES / "cpu.yaml",
) -> None:
    """Install the operator, create a reranker, wait for it, and search without and with it."""
    if kubeconfig is not None:
        if operator_image is None:
            raise DemoError(
                "--kubeconfig needs --operator-image (DEMO_OPERATOR_IMAGE): build one, push it, name it REPOSITORY:TAG"
            )
        cluster = given_cluster(kubeconfig)
        steps.claim_namespace(cluster, NAMESPACE, started_cluster=False)
        reranker = Reranker.from_sample(sample, NAMESPACE)
        show(cluster, reranker, operator_image, None, f"{reranker.model}, as {sample.name} names it")
        return
    cluster, started = own_cluster.start(console)
    steps.claim_namespace(cluster, NAMESPACE, started_cluster=started)
    parts = own_cluster.make_parts(console)
    reranker = Reranker.from_sample(SAMPLES / "demo.yaml", NAMESPACE, model_path=parts.model.name)
    show(cluster, reranker, parts.operator_image, parts.model.parent, f"{reranker.model}, {parts.model_description}")


@app.command()
def down(kubeconfig: Kubeconfig = None) -> None:
    """Delete what `up` created, and stop the cluster if `up` started it."""
    cluster = own_cluster.running() if kubeconfig is None else given_cluster(kubeconfig)
    if cluster is None:
        console.print("no cluster runs on this machine: nothing to do")
        return
    if steps.remove_demo(cluster, NAMESPACE, console) and cluster.ours:
        own_cluster.stop(console)


def show(
    cluster: Cluster, reranker: Reranker, operator_image: str, models: Path | None, model_description: str
) -> None:
    """Go from a cluster to the tables. `models` is the folder that the volume of the sample holds."""
    steps.install_operator(cluster, operator_image, console)
    steps.create_reranker(cluster, reranker, models, console)
    resource = steps.wait_until_ready(cluster, reranker, console)
    data = steps.read_publication(cluster, resource)
    config_map = resource["status"]["configMapName"]
    searching.show_params(f"{NAMESPACE}/{config_map}", data, console)
    with steps.reachable_engine(cluster, reranker, console) as engine:
        searching.show_searches(data, engine, model_description, console)
    show_what_to_type_next(cluster, reranker, config_map)


def show_what_to_type_next(cluster: Cluster, reranker: Reranker, config_map: str) -> None:
    """Print commands that go on from here."""
    kubectl = f"{cluster.kubectl_prefix} --namespace {NAMESPACE}"
    console.print("\n[bold]Look around[/]")
    for command in (
        f"{kubectl} get rrs",
        f"{kubectl} describe rrs {reranker.name}",
        f"{kubectl} get configmap {config_map} -o jsonpath='{{.data.function\\.json}}'",
    ):
        console.print(f"  {command}", highlight=False, soft_wrap=True, markup=False)
    here = "" if cluster.ours else f" KUBECONFIG={cluster.kubeconfig}"
    console.print("[bold]Remove everything[/]")
    console.print(f"  make demo-down{here}", highlight=False, soft_wrap=True, markup=False)


def main() -> None:
    """Run the command line; what a person can mend is shown as one message."""
    try:
        app()
    except EXPLAINED as error:
        console.print("error:", style="bold red", end=" ")
        console.print(str(error), markup=False, highlight=False, soft_wrap=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
