"""Hosts that a resource may make the operator call. Pure.

The operator reaches what its users may not: without a limit, whoever may create a resource could make it send requests,
and the keys of a Secret, to any address.
"""

import dataclasses
from urllib.parse import urlsplit


@dataclasses.dataclass(frozen=True, slots=True)
class AllowedHosts:
    """Patterns of hosts: a name, an address, or `*.` and the end of a name."""

    patterns: tuple[str, ...] = ()

    def allow(self, url: str, namespace: str) -> bool:
        """Whether the host of `url` is allowed, or a Service of `namespace`."""
        host = (urlsplit(url).hostname or "").rstrip(".")
        return _is_service_of(host, namespace) or any(_matches(host, pattern) for pattern in self.patterns)


def _is_service_of(host: str, namespace: str) -> bool:
    """Whether a name is `service.namespace.svc`, with or without the domain of the cluster."""
    parts = host.split(".")
    return len(parts) in (3, 5) and parts[1:3] == [namespace, "svc"] and parts[3:] in ([], ["cluster", "local"])


def _matches(host: str, pattern: str) -> bool:
    return host.endswith(pattern[1:]) and host != pattern[1:] if pattern.startswith("*.") else host == pattern
