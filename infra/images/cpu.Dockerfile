# Image of a Ray node without GPUs: the head, or workers that train and sample on CPUs.
#
#   docker build -f infra/images/cpu.Dockerfile -t assay:cpu .
FROM python:3.11-slim-bookworm AS build
WORKDIR /src
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
COPY constraints.txt ./
# PyTorch from its own index, all else from PyPI: no package is looked up in both. constraints.txt has the version.
RUN torch=$(sed -n 's/^torch==//p' constraints.txt) \
 && pip install --no-deps --index-url https://download.pytorch.org/whl/cpu "torch==${torch}+cpu"
COPY pyproject.toml README.md LICENSE ./
COPY platform platform
COPY workloads workloads
RUN pip install --constraint constraints.txt ".[s3]"

FROM python:3.11-slim-bookworm
# wget: for the health checks of Kubernetes and Compose. g++: DeepSpeed compiles its operators for the CPU it runs on.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends g++ libgomp1 wget \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 1000 --create-home ray
COPY --from=build /opt/venv /opt/venv
COPY sweeps /opt/assay/sweeps
# A cluster of this image does not start without a token: anyone who reaches Ray's ports can run code on it.
ENV PATH=/opt/venv/bin:$PATH RAY_AUTH_MODE=token
USER 1000
WORKDIR /home/ray
CMD ["bash"]
