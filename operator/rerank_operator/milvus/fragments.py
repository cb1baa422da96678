"""The part of Milvus's own configuration that a reranker needs, in the three forms in which Milvus is given it.

* `milvus.yaml` itself.
* `user.yaml` in `extraConfigFiles` of Milvus's Helm chart: laid over the chart's defaults.
* `spec.config` of a Milvus resource of the Milvus operator, which writes it into its `user.yaml`.

The provider is on unless its `enable` is `false`. A credential is read from `credential.<name>.apikey`. The key itself
is never in a fragment: KEY stands in its place.
"""

import textwrap
from typing import Final

import yaml

from rerank_operator.milvus.publication import Publication

# In the order of milvus.yaml.
_CREDENTIAL: Final = """\
credential:
  {name}:
    apikey: KEY
"""
_PROVIDER: Final = """\
function:
  rerank:
    model:
      providers:
        vllm:
          enable: true
"""
_ONE_LINE: Final = 100_000
_NO_KEY: Final = """\
# The part of {file} that this reranker needs.
# It is on by default, and no credential is needed.
"""
_NEEDS_KEY: Final = """\
# The part of {file} that this reranker needs, from Milvus 2.6.1 on.
# In the place of KEY write a key of the Secret {namespace}/{secret}.
"""


def build_milvus_yaml(publication: Publication) -> str:
    """The part of milvus.yaml."""
    return _header(publication, "milvus.yaml") + _config(publication)


def build_chart_values(publication: Publication) -> str:
    """The part of the values of Milvus's Helm chart."""
    header = _header(publication, "the values of Milvus's Helm chart")
    content = textwrap.indent(_config(publication), " " * 4)
    return f"{header}extraConfigFiles:\n  user.yaml: |\n{content}"


def build_resource_patch(publication: Publication) -> str:
    """The part of a Milvus resource: what `kubectl patch milvus NAME --type merge --patch-file FILE` takes."""
    header = _header(publication, "a Milvus resource")
    content = textwrap.indent(_config(publication), " " * 4)
    return f"{header}spec:\n  config:\n{content}"


def _header(publication: Publication, file: str) -> str:
    if publication.credential is None:
        return _NO_KEY.format(file=file)
    return _NEEDS_KEY.format(file=file, namespace=publication.namespace, secret=publication.secret)


def _config(publication: Publication) -> str:
    if publication.credential is None:
        return _PROVIDER
    return _CREDENTIAL.format(name=_quoted(publication.credential)) + _PROVIDER


def _quoted(name: str) -> str:
    """As a YAML key. A user chooses it freely: `no`, `1e3`, a colon, a line break or an emoji have to survive."""
    return yaml.safe_dump(name, default_style='"', width=_ONE_LINE, allow_unicode=True).strip()
