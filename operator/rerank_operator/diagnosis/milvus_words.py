"""What Milvus says when a check fails in it. Pure.

Read in the sources of Milvus (proxy, rerank functions) and seen when its rerank code was run, for 2.6 and 3.0; of
gRPC's own words, and of Milvus Lite, in real answers. A status of gRPC comes as `NAME: details`.
"""

import re
from typing import Final

from rerank_operator.api.reasons import Reason

_SEARCH: Final = "search"
# Not where a status follows: then something did answer, and what it said may hold any words.
_CALL: Final = r"^(?!.*errs:\[\d{3} ).*(call service failed|call rerank model failed|Post \\?\"https?:).*"
_NO_ANSWER: Final = (
    r"(no such host|server misbehaving|connection refused|connection reset|no route to host|network is unreachable"
    r"|i/o timeout|deadline exceeded|Client\.Timeout|x509:|tls:|HTTP response|\bEOF\b)"
)

# Only what a search says is about the model; tried first, because Milvus passes on what the model said.
_OF_THE_MODEL: Final = (
    # internal/util/function/rerank: 2.6 says "Rerank provider" or "rerank provider", 3.0 adds ": invalid parameter".
    (r"rerank provider: \[[^]]*\] is disabled", Reason.PROVIDER_DISABLED),
    # internal/util/credentials: "<name> is not a apikey crediential, can not find key: <name>.apikey".
    (r"is not a apikey cred\w+, can not find key", Reason.CREDENTIAL_UNKNOWN),
    # models/common.go: "Call service failed, errs:[401 Unauthorized, <body>]"; Lite: "Cohere API error 401: <body>".
    (r"errs:\[40[13] |Cohere API error 40[13]:", Reason.CREDENTIAL_REFUSED),
    # Go's net/http below it; 2.6.0 passes its words on as they are: "Post \"http://...\": dial tcp: ...".
    (_CALL + _NO_ANSWER, Reason.ENDPOINT_UNREACHABLE_FROM_MILVUS),
    (r"Cohere API connection error", Reason.ENDPOINT_UNREACHABLE_FROM_MILVUS),
)
_OF_MILVUS: Final = (
    # proxy/authentication_interceptor.go; versions before 2.3 give these words another code.
    (r"^UNAUTHENTICATED|auth check failure|missing authorization in header|invalid token format",
     Reason.MILVUS_UNAUTHORIZED),
    # proxy/privilege_interceptor.go: "PrivilegeCreateCollection: permission deny to <user> in the `<db>` database".
    (r"^PERMISSION_DENIED|Privilege\w+: permission deny", Reason.MILVUS_FORBIDDEN),
    (r"^DEADLINE_EXCEEDED|^CANCELLED|deadline exceeded|Retry timeout|wait for loading collection timeout",
     Reason.MILVUS_TOO_SLOW),
    (r"^UNAVAILABLE|Fail connecting to server|Milvus Proxy is not ready", Reason.MILVUS_UNREACHABLE),
)  # fmt: skip

# What is heard where a server wants a certificate, or another one: seen with servers of gRPC and of Go. With TLS 1.3,
# and with tlsMode 2 Milvus takes no other, it says so only after the handshake, and gRPC keeps the alert to itself.
_ENDED: Final = (
    r"Socket closed|Connection reset|TSI_DATA_CORRUPTED"
    r"|ALERT_(HANDSHAKE_FAILURE|BAD_CERTIFICATE|CERTIFICATE_\w+|UNKNOWN_CA|ACCESS_DENIED|DECRYPT_ERROR)"
)
# Before anything is sent: what it was given is not PEM, or key and certificate do not belong together.
_UNUSABLE: Final = r"Failed to create security handshaker"
_CLIENT_SECRET: Final = "spec.milvus.connection.tls.clientSecretRef"  # noqa: S105 - the name of a field


def reason_of(stage: str, error: str) -> Reason:
    """What is wrong, by the words of an error at a stage of a check; MilvusError where they tell nothing more."""
    known = (*_OF_THE_MODEL, *_OF_MILVUS) if stage == _SEARCH else _OF_MILVUS
    for pattern, reason in known:
        if re.search(pattern, error, re.IGNORECASE | re.DOTALL):
            return reason
    return Reason.MILVUS_ERROR


def certificate_hint(error: str, *, is_shown: bool) -> str:
    """What to do about certificates where an error of the connection is of them; empty where it is not.

    `is_shown`: the operator has a certificate of its own for Milvus.
    """
    if re.search(_UNUSABLE, error):
        pair = f"tls.crt and tls.key of {_CLIENT_SECRET} must be PEM and a pair, and " if is_shown else ""
        return f"{pair}spec.milvus.connection.tls.caBundle must be PEM"
    if not re.search(_ENDED, error):
        return ""
    if is_shown:
        return f"Milvus may refuse the certificate of {_CLIENT_SECRET}: the CA that it trusts must have signed it"
    return f"If Milvus asks for a client certificate (tlsMode 2), set {_CLIENT_SECRET}"
