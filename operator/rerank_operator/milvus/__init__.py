"""What Milvus takes: the params of a rerank function, and the ConfigMap data that applications read. Pure.

Nothing here talks to Milvus, and pymilvus is not imported: the params are plain data.
"""
