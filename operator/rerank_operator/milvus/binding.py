"""A verified reranker in the form of the Service Binding specification for Kubernetes (servicebinding.io).

`type`, `provider`, `uri`, `host` and `port` are the entries that the specification names; a language's binding library
finds a service by `type`. The others are ours, with the words of the ConfigMap.
"""

import json
from typing import Final
from urllib.parse import urlsplit

from rerank_operator.milvus.params import build_params
from rerank_operator.milvus.publication import Publication

TYPE: Final = "rerank"
PROVIDER: Final = "rerank-operator"
_PORTS: Final = {"http": 80, "https": 443}


def build_binding(publication: Publication) -> dict[str, str]:
    """Build the `stringData` of the Secret.

    `uri` is what an application calls itself, `endpoint` what Milvus is given. `credential` is there where a key is
    needed, and names the entry of milvus.yaml that holds it; the key itself is not copied.
    """
    address = urlsplit(publication.endpoint)
    binding = {
        "type": TYPE,
        "provider": PROVIDER,
        "uri": publication.url,
        "host": address.hostname or "",
        "port": str(address.port or _PORTS[address.scheme]),
        "endpoint": publication.endpoint,
        "model": publication.model,
        "params": json.dumps(build_params(publication), ensure_ascii=False),
    }
    if publication.credential is not None:
        binding["credential"] = publication.credential
    return binding
