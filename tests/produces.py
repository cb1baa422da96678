"""Which reasons a test makes happen, and who makes them.

A reason that nothing ever produced is a guess. So every reason that asks a person to do something has a test with a
cause, and tests/contract/test_every_reason_is_produced.py fails where one has none.
"""

from typing import Final

import pytest

from rerank_operator.api.reasons import Reason

#: Who makes a fault, the most real one first.
SOURCES: Final = {
    "node": "a real kubelet and a real vLLM",
    "vLLM": "a real vLLM process",
    "step": "an init container's own script, run as the kubelet runs it on real files or against a hub on loopback",
    "API server": "a real kube-apiserver, controller manager or scheduler",
    "Milvus": "a real Milvus Lite, or a gate in front of it that speaks as a full Milvus was seen to",
    "double": "the engine double, which answers as vLLM was recorded to",
    "recorded status": "a pod status or an Event as a real kubelet writes it, played by the puppet",
    "text": "the exact words of somebody's source; nothing that can run here says them (faults of a GPU only)",
}


def produces(*reasons: Reason, by: str) -> pytest.MarkDecorator:
    """Mark a test that makes these reasons happen, with a cause from SOURCES.

    Raises ValueError for another source, or when no reason is named.
    """
    if by not in SOURCES:
        raise ValueError(f"by={by!r}: no such source; take one of {', '.join(map(repr, SOURCES))}")
    if not reasons:
        raise ValueError("name at least one reason that the test makes happen")
    return pytest.mark.produces(*reasons, by=by)
