"""The real engine of the tests: vLLM built for CPU, and small rerankers trained on the spot.

Nothing here imports torch or vLLM: both live in a virtual environment of their own (`environment`),
whose Python trains the models (`training/`) and runs the server (`server`).
"""
