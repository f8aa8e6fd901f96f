# One image for launcher and worker: Python, the package with its locked dependencies, and the program
# with which Beam starts a worker. Use: docs/deploy.md.
ARG PYTHON_VERSION=3.11.14
# The version of apache-beam in constraints.txt.
ARG BEAM_VERSION=2.77.0

FROM apache/beam_python3.11_sdk:${BEAM_VERSION} AS beam

FROM python:${PYTHON_VERSION}-slim-bookworm AS build
WORKDIR /src
COPY setup.py pyproject.toml constraints.txt README.md LICENSE NOTICE ./
COPY ghsl_beam ghsl_beam
COPY transforms transforms
RUN --mount=type=cache,target=/root/.cache/pip \
    python -m venv /opt/ghsl-beam \
 && /opt/ghsl-beam/bin/pip install -c constraints.txt . \
 && /opt/ghsl-beam/bin/pip check

FROM python:${PYTHON_VERSION}-slim-bookworm
# The raster library in the wheels needs the expat library of the system.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends libexpat1 \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 10001 --create-home ghsl
COPY --from=beam /opt/apache/beam/boot /opt/apache/beam/LICENSE /opt/apache/beam/NOTICE /opt/apache/beam/
COPY --from=build /opt/ghsl-beam /opt/ghsl-beam
COPY --chmod=755 deploy/entrypoint.sh /usr/local/bin/ghsl-beam-entrypoint
# A worker runs in this environment: one that Beam makes for each worker would not have the package.
# glibc reads MALLOC_ARENA_MAX when a process starts, so a worker cannot set it for itself. The same
# is true of PYTHONSAFEPATH, which stops Python from importing modules of the current folder.
ENV PATH=/opt/ghsl-beam/bin:$PATH \
    RUN_PYTHON_SDK_IN_DEFAULT_ENVIRONMENT=1 \
    MALLOC_ARENA_MAX=2 \
    PYTHONSAFEPATH=1 \
    TF_CPP_MIN_LOG_LEVEL=3
USER 10001:10001
WORKDIR /home/ghsl
HEALTHCHECK --interval=30s --timeout=15s --start-period=60s --retries=3 \
    CMD ["python", "-m", "ghsl_beam.runners.container_health"]
ENTRYPOINT ["ghsl-beam-entrypoint"]
CMD ["--help"]
