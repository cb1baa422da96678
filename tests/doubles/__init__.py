"""Stand-ins for the two parts of a cluster that are too heavy for a quick test: the engine and the kubelet.

Both speak the real protocols and can be told to misbehave while they run. They import nothing of the
operator, so that they cannot share its mistakes. Whoever can run the real vLLM or a real node should do that
instead; ``tests/engine_real`` checks that double and vLLM answer alike.
"""
