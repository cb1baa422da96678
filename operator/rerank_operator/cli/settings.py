"""The settings of the operator, or a complaint about the variable that is wrong."""

import os

from rerank_operator.cli.output import fail
from rerank_operator.settings import Settings, SettingsError


def read_settings() -> Settings:
    """Read the RERANK_OPERATOR_* variables."""
    try:
        return Settings.from_env(dict(os.environ))
    except SettingsError as error:
        fail(str(error))
