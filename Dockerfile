# One image for everything that runs in a cluster: operator, workers, their withdraw Jobs, and the simulated exchange.
#
#   docker build -t phoenix:dev .                                    # `make image`
#   docker build -t phoenix:dev --build-arg BASE_IMAGE=my/python .   # any image with Python 3.11 or newer, pip and venv
#
# Everything is installed from wheels by the hash-pinned locks of requirements/; which index they come from is pip's own
# configuration. Nothing is compiled, so that nothing needs a compiler.

ARG BASE_IMAGE=python:3.13-slim

FROM ${BASE_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_COMPILE=0 PIP_NO_INPUT=1 PIP_ONLY_BINARY=:all: PIP_REQUIRE_HASHES=1
# The tools that make our wheel stay behind.
RUN python3 -m venv /build && python3 -m venv --without-pip /opt/phoenix
COPY requirements/build.txt requirements/runtime.txt requirements/prune.py /src/requirements/
# What nobody imports stays out. Byte code is part of the image, because a root file system that is read-only cannot take
# it later, and no process is to compile its libraries each time. It is bound to its source's content, not to a time: two
# builds of one source are equal byte by byte. (pip reads PIP_NO_COMPILE=1 as "compile", and would bind it to a time.)
RUN /build/bin/python -m pip --quiet install -r /src/requirements/build.txt \
    && /build/bin/python -m pip --quiet --python /opt/phoenix/bin/python install -r /src/requirements/runtime.txt \
    && python3 /src/requirements/prune.py /opt/phoenix/lib/python3*/site-packages \
    && python3 -m compileall -q -f -j 0 --invalidation-mode unchecked-hash /opt/phoenix/lib
COPY pyproject.toml README.md LICENSE /src/
COPY crds/phoenix_crds /src/crds/phoenix_crds
COPY coordination/phoenix_coordination /src/coordination/phoenix_coordination
COPY worker/phoenix_worker /src/worker/phoenix_worker
COPY operator/phoenix_operator /src/operator/phoenix_operator
COPY cli/phoenix_cli /src/cli/phoenix_cli
COPY simulator/phoenix_simulator /src/simulator/phoenix_simulator
COPY requirements/sbom.py /src/requirements/
RUN export SOURCE_DATE_EPOCH=315532800 && unset PIP_REQUIRE_HASHES \
    && /build/bin/python -m pip --quiet wheel --no-build-isolation --no-deps --wheel-dir /wheels /src \
    && /build/bin/python -m pip --quiet --python /opt/phoenix/bin/python install --no-deps /wheels/*.whl \
    && /build/bin/python -m pip --python /opt/phoenix/bin/python check \
    && python3 -m compileall -q -f -j 0 --invalidation-mode unchecked-hash /opt/phoenix/lib/python3*/site-packages/phoenix_* \
    && python3 /src/requirements/sbom.py /opt/phoenix/lib/python3*/site-packages > /opt/phoenix/sbom.cdx.json \
    && find /opt/phoenix -exec touch --no-dereference --date=@315532800 {} +

FROM ${BASE_IMAGE}
LABEL org.opencontainers.image.title="Phoenix" \
    org.opencontainers.image.description="A market maker for perpetual futures that lives in Kubernetes" \
    org.opencontainers.image.licenses="Apache-2.0"
# A name for the number: programs that look their user up find one.
RUN echo 'phoenix:x:65532:65532::/var/lib/phoenix:/usr/sbin/nologin' >> /etc/passwd \
    && echo 'phoenix:x:65532:' >> /etc/group \
    && install -d -o 65532 -g 65532 -m 0700 /var/lib/phoenix
COPY --from=build /opt/phoenix /opt/phoenix
ENV PATH=/opt/phoenix/bin:$PATH HOME=/var/lib/phoenix PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PYTHONFAULTHANDLER=1
# A number, so that the kubelet can tell that it is not root.
USER 65532:65532
WORKDIR /var/lib/phoenix
ENTRYPOINT ["phoenix"]
CMD ["--help"]
