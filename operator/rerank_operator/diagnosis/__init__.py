"""What the words of others mean: kubelet, scheduler, admission, and vLLM. Pure; no Kubernetes objects, only texts."""
