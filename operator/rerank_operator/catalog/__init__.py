"""What is known about reranker models, as data. Changes when a model is added. Pure."""
