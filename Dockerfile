# The operator's image: docker build --tag rerank-operator .
#
# Any base with Python 3.11 or newer, its `venv` module and CA certificates will do. To renew the digest:
# docker buildx imagetools inspect python:3.13-slim
ARG BASE_IMAGE=python:3.13.15-slim-trixie@sha256:7c61056e61ac89e852de05f3dc6fa51a6dd2181797bceed46aa725dd7cb2cd3b

FROM ${BASE_IMAGE} AS dependencies
ARG UV_VERSION=0.13.9
# Bytecode is compiled here, since the file system is read-only later. The certificates of the image count for
# uv too, so that one of a company's own is mounted or added in one place.
ENV UV_COMPILE_BYTECODE=1 \
    UV_LINK_MODE=copy \
    UV_SYSTEM_CERTS=1 \
    UV_PYTHON_DOWNLOADS=never \
    UV_PROJECT_ENVIRONMENT=/venv
RUN python3 -m venv /uv && /uv/bin/pip install --no-cache-dir "uv==${UV_VERSION}"
WORKDIR /src
COPY pyproject.toml uv.lock ./
# pymilvus brings pandas, a tenth of whose files are its own tests.
RUN /uv/bin/uv sync --no-cache --frozen --no-dev --no-install-project \
    && rm -rf /venv/lib/python3*/site-packages/pandas/tests

# The operator itself lies beside its dependencies, so that a new version of it is a layer of 1 MB.
FROM dependencies AS builder
COPY README.md LICENSE CHANGELOG.md ./
COPY operator ./operator
RUN /uv/bin/uv pip install --no-cache --no-deps --python /venv --target /app .

FROM ${BASE_IMAGE}
COPY --from=dependencies /venv /venv
COPY --from=builder /app /app
ENV PATH=/app/bin:/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    PYTHONPATH=/app \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="rerank-operator" \
      org.opencontainers.image.description="Deploys a vLLM reranker, verifies it the way Milvus calls it, publishes the params." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# A number, so that a kubelet can tell that this is not root.
USER 65532:65532
ENTRYPOINT ["rerank-operator"]
CMD ["run"]
