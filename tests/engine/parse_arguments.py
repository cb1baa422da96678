"""Parse command lines with vLLM's own parser: `python -m tests.engine.parse_arguments`, run by the engine's own Python.

Reads a JSON list of command lines that begin with `vllm serve`, and prints for each either {"parsed": {...}} with what
the parser made of some options, or {"refused": message}. No model is loaded.
"""

import contextlib
import io
import json
import sys
from typing import Any

from vllm.entrypoints.cli.serve import ServeSubcommand
from vllm.utils.argparse_utils import FlexibleArgumentParser

OPTIONS = (
    "model_tag",
    "served_model_name",
    "runner",
    "port",
    "dtype",
    "max_model_len",
    "trust_remote_code",
    "hf_overrides",
    "chat_template",
    "gpu_memory_utilization",
    "kv_cache_memory_bytes",
    "tensor_parallel_size",
    "enforce_eager",
    "middleware",
    "code_revision",
)


def parse(parser: FlexibleArgumentParser, command: list[str]) -> dict[str, Any]:
    """What the parser says to one command line, without its program's name."""
    words = io.StringIO()
    try:
        with contextlib.redirect_stderr(words):
            arguments = parser.parse_args(command[1:])
    except SystemExit:
        return {"refused": words.getvalue()[-500:]}
    return {"parsed": {option: getattr(arguments, option, None) for option in OPTIONS}}


def main() -> None:
    """Read, parse, print."""
    parser = FlexibleArgumentParser(prog="vllm")
    ServeSubcommand().subparser_init(parser.add_subparsers(required=True, dest="subparser"))
    print(json.dumps([parse(parser, command) for command in json.load(sys.stdin)], default=str))


if __name__ == "__main__":
    main()
