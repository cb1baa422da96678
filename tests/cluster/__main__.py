"""Real Kubernetes for the tests: build its programs, and run the one full cluster of this machine."""

import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from tests.cluster import images, namespaces, node, progress
from tests.cluster import packages as system_packages
from tests.cluster.binaries import binary
from tests.cluster.errors import ClusterError
from tests.cluster.node_servers import NodeServers

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__)
PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True}
console = Console(stderr=True, soft_wrap=True, highlight=False)


@app.command()
def binaries(
    names: Annotated[list[str] | None, typer.Argument(help="What to build; default: everything.")] = None,
) -> None:
    """Build the programs that are missing in the cache."""
    progress.build_missing(names or (), console)


@app.command()
def packages() -> None:
    """Install the Debian packages that are missing."""
    installed = system_packages.install()
    console.print(f"installed {', '.join(installed)}" if installed else "nothing is missing")


@app.command()
def up() -> None:
    """Start the cluster, or take the running one if it is healthy, and write .cluster/kubeconfig."""
    progress.build_missing(console=console)
    started = time.monotonic()
    cluster = node.up(report=console.print)
    console.print(f"ready after {time.monotonic() - started:.1f} s: export KUBECONFIG={cluster.kubeconfig}")


@app.command()
def down() -> None:
    """End the cluster and check that nothing of it is left."""
    node.down(console.print)


@app.command()
def status() -> None:
    """Show what runs, and where its logs are; exit code 1 when the cluster is not healthy."""
    place = node.folders()
    init = namespaces.init_pid(place.state)
    if init is not None:
        table = Table("server", "process", "running")
        for server in NodeServers(place, init).running():
            running = "yes" if server.is_running() else "no"
            table.add_row(server.name, str(server.process.pid), running)
        console.print(table)
        console.print(f"logs: {place.logs}, audit log: {place.audit_log}")
    problem = node.problem(place)
    if problem:
        console.print(problem)
        raise typer.Exit(1)
    for name in images.present_images():
        console.print(f"image {name}")
    console.print("the cluster is healthy")


@app.command()
def import_image(archive: Annotated[Path, typer.Argument(exists=True, dir_okay=False)]) -> None:
    """Import an image archive (OCI, one image named localhost/NAME:TAG) into the cluster."""
    size = archive.stat().st_size / 1e9
    with console.status(f"importing {archive.name}, {size:.1f} GB; 6 GB take about 2 min"):
        imported = images.import_archive(archive)
    console.print(f"imported {archive}" if imported else f"the image of {archive} is there already")


@app.command(context_settings=PASSED_ON)
def kubectl(context: typer.Context) -> None:
    """Run kubectl on the cluster: `kubectl -- get pods --all-namespaces`."""
    kubeconfig = node.folders().pki / "admin.kubeconfig"
    command = [str(binary("kubectl")), f"--kubeconfig={kubeconfig}", *context.args]
    raise typer.Exit(subprocess.run(command, check=False).returncode)


@app.command(context_settings=PASSED_ON)
def run(context: typer.Context) -> None:
    """Run a command in the node's namespaces: `run -- ip route`, `run -- ctr -n k8s.io containers ls`."""
    command = namespaces.enter_command(node.running_init(), context.args)
    raise typer.Exit(subprocess.run(command, check=False).returncode)


def main() -> None:
    """Run the command line; what a person can mend is shown as one message."""
    try:
        app()
    except ClusterError as error:
        console.print(f"[bold red]error:[/] {error}", markup=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
