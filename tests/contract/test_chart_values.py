import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic.alias_generators import to_camel

from rerank_operator.catalog.accelerators import platforms
from rerank_operator.settings import PREFIX, Settings
from tests.contract.chart import CHART, ChartError, only, render
from tests.contract.chart_values import Value, build_table, read_values, uncommented

VALUES_FILE = CHART / "values.yaml"
VALUES = read_values(VALUES_FILE)
SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
SETTINGS_SCHEMA = Settings.model_json_schema()["properties"]
# Set by Helm for charts that are a dependency of another one.
NOT_OURS = {"global"}

every_value = pytest.mark.parametrize("value", VALUES, ids=lambda value: value.name)


def resolve(schema: dict[str, Any]) -> dict[str, Any]:
    definitions: dict[str, dict[str, Any]] = SCHEMA["definitions"]
    return definitions[schema["$ref"].removeprefix("#/definitions/")] if "$ref" in schema else schema


def schema_of(path: tuple[str, ...]) -> dict[str, Any]:
    schema = SCHEMA
    for key in path:
        schema = resolve(schema["properties"][key])
    return schema


def test_every_value_has_a_comment() -> None:
    assert [] == uncommented(VALUES_FILE)


@every_value
def test_a_value_is_used_by_a_template(value: Value) -> None:
    templates = "".join(file.read_text(encoding="utf-8") for file in sorted((CHART / "templates").iterdir()))
    assert f".Values.{value.name}" in templates


@every_value
def test_a_value_is_in_the_schema(value: Value) -> None:
    assert schema_of(value.path)


def test_the_schema_knows_no_value_that_is_not_in_the_file() -> None:
    def check(values: dict[str, Any], schema: dict[str, Any], path: tuple[str, ...]) -> None:
        assert schema["additionalProperties"] is False, path
        assert values.keys() == schema["properties"].keys() - NOT_OURS, path
        for key, value in values.items():
            if (*path, key) not in {described.path for described in VALUES}:
                check(value, schema["properties"][key], (*path, key))

    check(yaml.safe_load(VALUES_FILE.read_text(encoding="utf-8")), SCHEMA, ())


def test_the_readme_holds_a_row_for_every_value() -> None:
    readme = (CHART / "README.md").read_text(encoding="utf-8")
    assert build_table(VALUES) in readme


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ("workers", "workers"),
        ("verifications", "verifications"),
        ("milvusChecks", "milvus_checks"),
        ("resyncSeconds", "resync_seconds"),
        ("healthPort", "health_port"),
    ],
)
@pytest.mark.parametrize("bound", ["minimum", "maximum"])
def test_chart_and_operator_accept_the_same_numbers(value: str, field: str, bound: str) -> None:
    assert SETTINGS_SCHEMA[field].get(bound) == schema_of((value,)).get(bound)


@pytest.mark.parametrize("field", [known.image_setting for known in platforms().values()])
def test_chart_and_operator_have_the_same_image_for_a_kind_of_accelerator(field: str) -> None:
    value = to_camel(field)
    (default,) = [known.default for known in VALUES if known.name == value]

    assert default == SETTINGS_SCHEMA[field]["default"]
    assert SETTINGS_SCHEMA[field].get("minLength") == schema_of((value,)).get("minLength")
    pod = only(render(f"{value}=mine:1"), "Deployment")["spec"]["template"]["spec"]
    assert {"name": f"{PREFIX}{field.upper()}", "value": "mine:1"} in pod["containers"][0]["env"]


@pytest.mark.parametrize(("value", "field"), [("logLevel", "log_level"), ("logFormat", "log_format")])
def test_chart_and_operator_accept_the_same_words(value: str, field: str) -> None:
    assert SETTINGS_SCHEMA[field]["pattern"] == f"^({'|'.join(schema_of((value,))['enum'])})$"


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ("wokers=3", "additional properties 'wokers' not allowed"),
        ("image.tags=main", "additional properties 'tags' not allowed"),
        ("image=rerank-operator", "at '/image': got string, want object"),
        ("image.digest=sha256:abc", "at '/image/digest'"),
        ("workers=many", "at '/workers': got string, want integer"),
        ("workers=0", "at '/workers': minimum: got 0, want 1"),
        ("watchNamespaces=search", "at '/watchNamespaces': got string, want array"),
        ("watchNamespaces={Search}", "at '/watchNamespaces/0'"),
        ("milvusChecks=17", "at '/milvusChecks': maximum: got 17, want 16"),
        ("allowedHosts=example.com", "at '/allowedHosts': got string, want array"),
        ("allowedHosts={http://example.com}", "at '/allowedHosts/0'"),
        ("allowedHosts={example.com:8000}", "at '/allowedHosts/0'"),
        ("allowedHosts={*}", "at '/allowedHosts/0'"),
        ("logLevel=debug", "at '/logLevel': value must be one of 'DEBUG', 'INFO', 'WARNING', 'ERROR'"),
        ("access.readSecrets=maybe", "at '/access/readSecrets': got string, want boolean"),
        ("diagnosis.readLogs=maybe", "at '/diagnosis/readLogs': got string, want boolean"),
        ("publish.serviceBindings=maybe", "at '/publish/serviceBindings': got string, want boolean"),
        ("verification.restartPods=maybe", "at '/verification/restartPods': got string, want boolean"),
        ("crds.install=maybe", "at '/crds/install': got string, want boolean"),
        ("nodeSelector.gpu=true", "at '/nodeSelector/gpu': got boolean, want string"),
        ("extraEnv[0].value=1", "at '/extraEnv/0': missing property 'name'"),
        ("resources.limit.memory=1Gi", "additional properties 'limit' not allowed"),
    ],
)
def test_a_wrong_value_is_named_before_anything_reaches_the_cluster(setting: str, complaint: str) -> None:
    with pytest.raises(ChartError) as refused:
        render(setting)
    assert complaint in str(refused.value)


def test_values_are_read_with_their_path_default_and_whole_comment(tmp_path: Path) -> None:
    file = tmp_path / "values.yaml"
    file.write_text(
        '# No value.\n\nimage:\n  # -- The tag; empty for\n  # the newest.\n  tag: ""\n# -- Limits.\nresources:\n'
        "  limits: {cpu: 1}\n  more: 2\nbare: 1\n"
    )
    tag = Value(("image", "tag"), "", "The tag; empty for the newest.")
    resources = Value(("resources",), {"limits": {"cpu": 1}, "more": 2}, "Limits.")
    assert [tag, resources] == read_values(file)
    assert ["bare"] == uncommented(file)
