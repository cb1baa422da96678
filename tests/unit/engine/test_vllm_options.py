"""Reading the options of `vllm serve` out of its source."""

import pytest

from tests.engine.vllm_options import ARGPARSE, ENGINE, SERVE, NoOptionsError, frontend_path, long_options

FRONTEND = "vllm/entrypoints/openai/cli_args.py"
CONFIG = "vllm/config/model.py"

SOURCES = {
    SERVE: """
from vllm.entrypoints.openai.cli_args import make_arg_parser, validate
""",
    FRONTEND: """
class BaseFrontendArgs:
    chat_template: str | None = None

class FrontendArgs(BaseFrontendArgs):
    api_key: list[str] | None = None
    allow_credentials: bool = False

    @classmethod
    def add_cli_args(cls, parser):
        for key, value in get_kwargs(cls).items():
            parser.add_argument(f"--{key.replace('_', '-')}", **value)

def make_arg_parser(parser):
    parser.add_argument("model_tag", nargs="?")
    parser.add_argument("--api-server-count", "-asc", type=int)
    parser.add_argument("--headless", action="store_true")
""",
    CONFIG: """
class ModelConfig:
    runner: RunnerOption = "auto"
    enforce_eager: bool = False
    disable_cascade_attn: Optional[bool] = None
    hf_token: bool | str | None = None
    not_an_option: bool = False
""",
    ENGINE: """
class EngineArgs:
    def add_cli_args(parser):
        model_kwargs = get_kwargs(ModelConfig)
        group = parser.add_argument_group(title="ModelConfig")
        group.add_argument("--runner", **model_kwargs["runner"])
        group.add_argument("--enforce-eager", **model_kwargs["enforce_eager"])
        group.add_argument("--hf-token", **model_kwargs["hf_token"])
        cascade_kwargs = model_kwargs["disable_cascade_attn"]
        group.add_argument("--disable-cascade-attn", **cascade_kwargs)
        parser.add_argument("--enable-log-requests", action=argparse.BooleanOptionalAction)
""",
}


def options_with(path: str, old: str, new: str) -> set[str]:
    return long_options({**SOURCES, path: SOURCES[path].replace(old, new)})


def test_declared_options_and_the_fields_of_the_server_are_found() -> None:
    assert {
        "--allow-credentials",
        "--api-key",
        "--api-server-count",
        "--chat-template",
        "--disable-cascade-attn",
        "--enable-log-requests",
        "--enforce-eager",
        "--headless",
        "--help",
        "--hf-token",
        "--no-allow-credentials",
        "--no-disable-cascade-attn",
        "--no-enable-log-requests",
        "--no-enforce-eager",
        "--runner",
    } == long_options(SOURCES)


@pytest.mark.parametrize("annotation", ["bool | None", "Optional[bool]", "Union[bool, None]", '"bool"'])
def test_a_field_that_is_true_or_false_can_be_negated(annotation: str) -> None:
    assert "--no-runner" in options_with(CONFIG, "RunnerOption", annotation)


@pytest.mark.parametrize("annotation", ["str", "list[bool]", "bool | str | None", "Literal['bool']"])
def test_any_other_field_cannot(annotation: str) -> None:
    assert "--no-runner" not in options_with(CONFIG, "RunnerOption", annotation)


def test_options_of_a_loop_are_found() -> None:
    loop = (
        'for arg, kind in [("--one", str), ("--two", bool)]:\n            parser.add_argument(arg, type=kind)\n        '
    )
    assert {"--one", "--two"} == options_with(ENGINE, "cascade_kwargs =", f"{loop}cascade_kwargs =") - long_options(
        SOURCES
    )


def test_an_action_counts_more_than_the_field() -> None:
    changed = options_with(ENGINE, '"--enforce-eager", **', '"--enforce-eager", action="store_true", **')
    assert "--no-enforce-eager" not in changed


def test_since_0_33_what_is_enabled_can_be_disabled_and_the_other_way_round() -> None:
    newer = long_options({**SOURCES, ARGPARSE: "class EnableDisableAction(BooleanOptionalAction): ..."})
    assert {"--disable-log-requests", "--enable-cascade-attn"} == newer - long_options(SOURCES)


def test_a_configuration_that_is_missing_is_an_error() -> None:
    sources = {path: text for path, text in SOURCES.items() if path != CONFIG}
    with pytest.raises(NoOptionsError, match="no source defines the class ModelConfig"):
        long_options(sources)


def test_a_field_that_is_missing_is_an_error() -> None:
    with pytest.raises(NoOptionsError, match="the class ModelConfig has no field runner"):
        options_with(CONFIG, "runner:", "walker:")


def test_the_module_of_the_server_is_found_by_its_import() -> None:
    assert FRONTEND == frontend_path(SOURCES[SERVE])


def test_a_command_without_that_import_is_an_error() -> None:
    with pytest.raises(NoOptionsError, match="imports no make_arg_parser"):
        frontend_path("import vllm")
