"""What has to agree with what: the CRD, the chart, the manifests and the code. Fast, and without a cluster."""
