"""Load as Milvus makes it, to see what a change costs those who search."""
