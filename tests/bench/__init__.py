"""What the operator costs and how fast it is, measured on a real control plane: `python -m tests.bench`.

Nothing here decides whether the operator is right; tests do. A benchmark reports, so a missed budget is a red
cell and no failure, unless `--strict` asks for one.

Everything runs on one machine and competes for its processors, so seconds are of that machine only. Requests
per reranker, processor time, memory and the multiple of the floor can be compared between machines.
"""
