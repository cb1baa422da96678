"""What a right rerank answer is: the questions we ask, and how an answer is judged. Pure."""
