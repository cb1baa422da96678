"""Settings from the environment."""

import pytest

from rerank_operator.settings import Settings, SettingsError


def test_everything_has_a_default() -> None:
    assert () == Settings.from_env({"PATH": "/bin"}).namespaces


def test_namespaces_are_a_list_separated_by_commas() -> None:
    assert ("a", "b") == Settings.from_env({"RERANK_OPERATOR_WATCH_NAMESPACES": "b, a,,"}).namespaces


@pytest.mark.parametrize("value", ["many", "0", ""])
def test_a_value_that_cannot_be_used_is_named_with_its_variable(value: str) -> None:
    with pytest.raises(SettingsError, match="RERANK_OPERATOR_WORKERS='" + value):
        Settings.from_env({"RERANK_OPERATOR_WORKERS": value})
