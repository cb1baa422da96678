"""Settings from the environment."""

import pytest

from rerank_operator.api.v1alpha1 import AcceleratorType
from rerank_operator.settings import Settings, SettingsError


def test_everything_has_a_default() -> None:
    assert () == Settings.from_env({"PATH": "/bin"}).namespaces


def test_namespaces_are_a_list_separated_by_commas() -> None:
    assert ("a", "b") == Settings.from_env({"RERANK_OPERATOR_WATCH_NAMESPACES": "b, a,,"}).namespaces


@pytest.mark.parametrize("value", ["many", "0", ""])
def test_a_value_that_cannot_be_used_is_named_with_its_variable(value: str) -> None:
    with pytest.raises(SettingsError, match="RERANK_OPERATOR_WORKERS='" + value):
        Settings.from_env({"RERANK_OPERATOR_WORKERS": value})


def test_each_kind_of_accelerator_has_an_image_or_says_that_there_is_none() -> None:
    images = Settings().engine_images

    assert set(AcceleratorType) == set(images)
    assert {AcceleratorType.GAUDI, AcceleratorType.TPU} == {kind for kind, image in images.items() if not image}


def test_an_image_is_replaced_by_its_setting() -> None:
    settings = Settings.from_env({"RERANK_OPERATOR_TPU_ENGINE_IMAGE": "mine:1"})

    assert "mine:1" == settings.engine_images[AcceleratorType.TPU]
