"""What is known about vLLM: its arguments and environment, the guard and the probe that run inside its pod. Pure.

`rerank_guard` and `rerank_probe` are never imported by the operator: their text is mounted into the model pod.
"""
