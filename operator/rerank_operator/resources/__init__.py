"""What the children look like: one builder and one template per kind. Pure: a builder returns, it never writes."""
