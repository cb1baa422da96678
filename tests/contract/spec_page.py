"""Write the field tables of docs/spec.md: `python -m tests.contract.spec_page [--write]`.

The sentences come from the pydantic models, types and limits from the CRD that is built from them. The rest of
the page is written by hand. Without --write nothing is written; the exit code is 1 when a table is stale.
"""

import json
import re
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from rerank_operator.api.crd import build_crd
from rerank_operator.api.v1alpha1 import RerankServiceSpec, RerankServiceStatus
from tests.contract.chart import ROOT
from tests.contract.reasons_page import update

SPEC_PAGE = ROOT / "docs" / "spec.md"

_END = "<!-- end of fields -->"
_SECTION = re.compile(rf"(?P<begin><!-- fields of (?P<name>[a-zA-Z.]+)[^>]*-->\n).*?{_END}", re.DOTALL)
# Fields that take anything, and are no part of a Pod.
_OTHER_FORMS = {"spec.autoscaling.metrics": "list, as in a HorizontalPodAutoscaler"}
_ROW_HEAD = "| field | type | default | meaning |\n|---|---|---|---|\n"


@dataclass(frozen=True)
class DocumentedField:
    """One field: `path` as a person writes it, such as spec.model.name; a `[]` stands for each item of a list."""

    path: str
    kind: str
    default: str
    meaning: str

    def row(self) -> str:
        """The field as a row of a Markdown table."""
        return f"| `{self.path}` | {self.kind} | {self.default} | {self.meaning} |\n"


def spec_fields() -> list[DocumentedField]:
    """Every field of the spec, groups before what they hold."""
    return list(_fields(RerankServiceSpec, _schema()["spec"], "spec"))


def status_fields() -> list[DocumentedField]:
    """Every field of the status."""
    return list(_fields(RerankServiceStatus, _schema()["status"], "status"))


def build_page(text: str) -> str:
    """Return `text` with the table between each pair of markers renewed. Raises KeyError for an unknown name."""
    return _SECTION.sub(lambda found: f"{found['begin']}\n{_table(found['name'])}\n{_END}", text)


def sections(text: str) -> list[str]:
    """What the markers of a page name, such as spec.model, in order."""
    return [found["name"] for found in _SECTION.finditer(text)]


def _table(name: str) -> str:
    known = [*spec_fields(), *status_fields()]
    rows = [field.row() for field in known if field.path == name or field.path.startswith((f"{name}.", f"{name}["))]
    if not rows:
        raise KeyError(f"docs/spec.md has a table for {name}, and there is no such field: correct the marker")
    return _ROW_HEAD + "".join(rows)


def _schema() -> dict[str, Any]:
    (version,) = build_crd()["spec"]["versions"]
    properties: dict[str, Any] = version["schema"]["openAPIV3Schema"]["properties"]
    return properties


def _fields(model: type[BaseModel], schema: dict[str, Any], path: str) -> Iterator[DocumentedField]:
    required = schema.get("required", [])
    for name, field in model.model_fields.items():
        key = field.alias or name
        inside = schema["properties"][key]
        full = f"{path}.{key}"
        kind = _OTHER_FORMS.get(full) or _kind(inside)
        yield DocumentedField(full, kind, _default(inside, required=key in required), _meaning(field))
        if nested := _nested_model(field.annotation):
            items = inside.get("items")
            yield from _fields(nested, items or inside, f"{full}[]" if items else full)


def _nested_model(annotation: Any) -> type[BaseModel] | None:
    """The model inside Optional, Annotated and list; None for a plain value."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in typing.get_args(annotation) if (found := _nested_model(part))), None)


def _kind(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return " or ".join(f"`{word}`" for word in schema["enum"])
    if schema.get("x-kubernetes-int-or-string"):
        return "number or text"
    kind: str = schema["type"]
    if kind == "integer":
        return _range(schema)
    if kind == "array":
        return {"object": "list", "as in a Pod": "list, as in a Pod"}.get(of := _kind(schema["items"]), f"list of {of}")
    if kind == "object" and "properties" not in schema:
        return "as in a Pod" if schema.get("x-kubernetes-preserve-unknown-fields") else "map"
    return {"object": "object", "string": "text", "boolean": "true or false"}[kind]


def _range(schema: dict[str, Any]) -> str:
    least, most = schema.get("minimum"), schema.get("maximum")
    if least is not None and most is not None:
        return f"{least} to {most}"
    return f"at most {most}" if most is not None else "integer"


def _default(schema: dict[str, Any], *, required: bool) -> str:
    if required:
        return "**required**"
    return f"`{json.dumps(schema['default'])}`" if "default" in schema else ""


def _meaning(field: FieldInfo) -> str:
    return (field.description or "").replace("|", r"\|").replace("<name>-milvus", "`<name>-milvus`")


def main(*, write: Annotated[bool, typer.Option("--write", help="Write the tables.")] = False) -> None:
    """Write the field tables of docs/spec.md, or without --write fail when one is stale."""
    update(SPEC_PAGE, build_page(SPEC_PAGE.read_text(encoding="utf-8")), write=write)


if __name__ == "__main__":
    typer.run(main)
