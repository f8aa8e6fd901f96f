# The job and its worker: Python, the package and its locked dependencies, no build tools.
FROM python:3.11-slim AS build
WORKDIR /src
COPY setup.py pyproject.toml constraints.txt README.md LICENSE NOTICE ./
COPY ghsl_beam ghsl_beam
COPY transforms transforms
RUN python -m venv /opt/ghsl-beam \
 && /opt/ghsl-beam/bin/pip install --no-cache-dir -c constraints.txt .

FROM python:3.11-slim
COPY --from=build /opt/ghsl-beam /opt/ghsl-beam
# The raster library of the wheels links against the system's expat.
RUN apt-get update && apt-get install --yes --no-install-recommends libexpat1 \
 && rm -rf /var/lib/apt/lists/*
RUN useradd --create-home --uid 10001 ghsl
ENV PATH=/opt/ghsl-beam/bin:$PATH TF_CPP_MIN_LOG_LEVEL=3
USER ghsl
WORKDIR /home/ghsl
HEALTHCHECK CMD ["python", "-c", "import ghsl_beam, transforms"]
ENTRYPOINT ["ghsl-beam"]
CMD ["--help"]
