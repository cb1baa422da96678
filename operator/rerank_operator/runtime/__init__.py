"""What concerns the process and not the rerankers: health and metrics."""
