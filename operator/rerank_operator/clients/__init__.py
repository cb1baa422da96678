"""The only door to the outside: the API server and vLLM. Errors that leave here are ours, with their cause."""
