"""Write every file that is a copy of something else: `python -m tests.contract.generate [--check]`.

The pydantic models are the source of the CRD and of the JSON Schemas, the chart is the source of
manifests/install.yaml, and the comments in values.yaml are the source of the table in the chart's README.
"""

import json
import shutil
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from rerank_operator.api.crd import build_crd
from rerank_operator.milvus.forms import FORMS, build_schema
from rerank_operator.resources.render import to_yaml
from tests.cluster.errors import ClusterError
from tests.cluster.progress import build_missing
from tests.contract.chart import CHART, NAMESPACE, ROOT, ChartError, template
from tests.contract.chart_values import build_table, read_values

CRD_NAME = "rerankservices.rerank-operator.io.yaml"
CRD_FILE = ROOT / "crds" / CRD_NAME
CHART_CRD_FILE = CHART / "crd" / CRD_NAME
INSTALL_FILE = ROOT / "manifests" / "install.yaml"
CHART_README = CHART / "README.md"
SCHEMAS = ROOT / "docs" / "schemas"

TABLE_BEGIN = "<!-- Generated from values.yaml by make generate; do not edit. -->\n"
TABLE_END = "<!-- End of the generated table. -->\n"

_CRD_HEADER = """\
# Generated from operator/rerank_operator/api/v1alpha1 by make generate; do not edit.
"""
_INSTALL_HEADER = f"""\
# Generated from charts/rerank-operator by make generate; do not edit.
# The chart with its default values, for clusters without Helm:
#   kubectl apply --server-side --filename manifests/install.yaml
# It equals: helm template rerank-operator charts/rerank-operator --namespace {NAMESPACE}
---
apiVersion: v1
kind: Namespace
metadata:
  name: {NAMESPACE}
  labels:
    pod-security.kubernetes.io/enforce: restricted
"""


def build_copies() -> dict[Path, str]:
    """What each generated file has to hold. Writes nothing."""
    return {
        CRD_FILE: _CRD_HEADER + to_yaml(build_crd()),
        CHART_CRD_FILE: _CRD_HEADER + to_yaml(_kept_on_uninstall(build_crd())),
        CHART_README: _readme(CHART_README.read_text(encoding="utf-8")),
        INSTALL_FILE: _INSTALL_HEADER + _render_with_current_crd(),
        **build_schema_files(),
    }


def build_schema_files() -> dict[Path, str]:
    """The JSON Schemas of what is published."""
    return {SCHEMAS / key: json.dumps(build_schema(key), indent=2, ensure_ascii=False) + "\n" for key in FORMS}


def stale(copies: dict[Path, str]) -> list[Path]:
    """Return the files that hold something else, or are missing."""
    return [path for path, text in copies.items() if not path.exists() or path.read_text(encoding="utf-8") != text]


def main(
    *, check: Annotated[bool, typer.Option("--check", help="Write nothing; fail when a file is stale.")] = False
) -> None:
    """Write every generated file, or with --check name those that are stale."""
    try:
        build_missing(["helm"])
        copies = build_copies()
    except (ClusterError, ChartError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from error
    outdated = stale(copies)
    for path in outdated:
        name = path.relative_to(ROOT)
        if check:
            typer.echo(f"stale: {name}", err=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(copies[path], encoding="utf-8")
            typer.echo(f"wrote {name}")
    if check and outdated:
        typer.echo("Run `make generate` and commit what it writes.", err=True)
        raise typer.Exit(1)


def _kept_on_uninstall(crd: dict[str, Any]) -> dict[str, Any]:
    """Without the annotation, `helm uninstall` would delete the CRD and with it every reranker."""
    annotations = {"helm.sh/resource-policy": "keep"}
    return crd | {"metadata": crd["metadata"] | {"annotations": annotations}}


def _readme(text: str) -> str:
    before, _, rest = text.partition(TABLE_BEGIN)
    _, _, after = rest.partition(TABLE_END)
    table = build_table(read_values(CHART / "values.yaml"))
    return f"{before}{TABLE_BEGIN}\n{table}\n\n{TABLE_END}{after}"


def _render_with_current_crd() -> str:
    """Render a copy of the chart, so that a stale CRD in the chart cannot hide a stale manifest."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / CHART.name
        shutil.copytree(CHART, copy)
        crd = copy / CHART_CRD_FILE.relative_to(CHART)
        crd.parent.mkdir(exist_ok=True)
        crd.write_text(_CRD_HEADER + to_yaml(_kept_on_uninstall(build_crd())), encoding="utf-8")
        return template(chart=copy)


if __name__ == "__main__":
    typer.run(main)
