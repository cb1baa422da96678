"""Make a classifier with two labels from a reranker: `python -m tests.engine.training.two_labels MODEL OUT`.

vLLM serves it, says that it is healthy, and has no rerank route: only a model with one label is a reranker.
"""

import sys

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer


def widen(model: str, out: str) -> None:
    """Save the model again with a fresh, untrained head of two labels."""
    torch.manual_seed(0)
    classifier = AutoModelForSequenceClassification.from_pretrained(model, num_labels=2, ignore_mismatched_sizes=True)
    classifier.save_pretrained(out)
    AutoTokenizer.from_pretrained(model).save_pretrained(out)


if __name__ == "__main__":
    widen(sys.argv[1], sys.argv[2])
