"""The prompts of rerankers that are language models, each as a template for vLLM's --chat-template (0.14 or newer).

vLLM renders one for every pair of a query and a document: `messages` has one message of the role `query` and one of
the role `document`. The field `instruction` of a request (0.24 or newer) arrives as the variable `instruction`, and
only at a template that mentions it.
"""

import functools
from importlib import resources
from importlib.resources.abc import Traversable

_SUFFIX = ".jinja"


@functools.cache
def template(key: str) -> str:
    """The text of the template `key`. Raises KeyError, which names the known keys, when there is none."""
    if key not in template_keys():
        raise KeyError(f"no prompt template {key!r}: choose one of {', '.join(template_keys())}")
    return _folder().joinpath(key + _SUFFIX).read_text(encoding="utf-8")


@functools.cache
def template_keys() -> tuple[str, ...]:
    """The keys of all templates, in alphabetical order."""
    names = (file.name for file in _folder().iterdir())
    return tuple(sorted(name.removesuffix(_SUFFIX) for name in names if name.endswith(_SUFFIX)))


def _folder() -> Traversable:
    return resources.files(__package__).joinpath("templates")
