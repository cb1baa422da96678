"""Templates become objects, and no value is read as anything else than what it is."""

from typing import Any

import jinja2
import pytest

from rerank_operator.resources.render import render

OWNER = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": "1", "controller": True}


def rendered(**changes: Any) -> dict[str, Any]:
    """A small object with some of its values changed."""
    values = {"name": "files", "namespace": "default", "labels": {"b": "2", "a": "1"}, "owner": OWNER}
    return render("files.yaml.j2", **{**values, **changes})


@pytest.mark.parametrize("name", ["no", "1e3", "null", "a: b", "# not a comment", "{{ name }}", "\ue0000", "<&>'\"\n"])
def test_a_text_stays_the_text_that_it_is(name: str) -> None:
    assert name == rendered(name=name)["metadata"]["name"]


def test_a_map_and_a_list_come_as_they_are() -> None:
    metadata = rendered()["metadata"]

    assert {"a": "1", "b": "2"} == metadata["labels"]
    assert [OWNER] == metadata["ownerReferences"]


def test_a_value_that_is_missing_is_named() -> None:
    with pytest.raises(jinja2.UndefinedError, match="'name' is undefined"):
        render("files.yaml.j2", namespace="default", labels={}, owner=OWNER)


def test_what_becomes_of_one_object_changes_no_other() -> None:
    labels: dict[str, str] = {}
    first = rendered(labels=labels)
    first["metadata"]["labels"]["a"] = "1"
    first["metadata"]["more"] = "1"

    assert {} == labels
    assert rendered(labels=labels)["metadata"] == {
        "name": "files",
        "namespace": "default",
        "labels": {},
        "ownerReferences": [OWNER],
    }
