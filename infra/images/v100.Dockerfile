# Image of a Ray node with V100s.
#
#   docker build -f infra/images/v100.Dockerfile -t assay:v100 .
#
# A V100 (compute capability 7.0) needs PyTorch's CUDA 12.6 build: builds for CUDA 12.8 and later have no kernels for
# it, and CUDA 13's compiler does not support it. PyTorch 2.14 is planned to be the last release with that build.
FROM nvidia/cuda:12.6.3-devel-ubuntu22.04 AS cuda

FROM python:3.11-bookworm AS build
COPY --from=cuda /usr/local/cuda-12.6 /usr/local/cuda
WORKDIR /src
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:/usr/local/cuda/bin:$PATH CUDA_HOME=/usr/local/cuda \
    PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
COPY constraints.txt ./
# PyTorch from its own index, all else from PyPI: no package is looked up in both. constraints.txt has the version.
RUN torch=$(sed -n 's/^torch==//p' constraints.txt) \
 && pip install --no-deps --index-url https://download.pytorch.org/whl/cu126 "torch==${torch}+cu126" \
 && pip install --constraint constraints.txt torch deepspeed setuptools
# Install DeepSpeed again, with its fused Adam compiled, since the nodes have no nvcc. The accelerator and architecture
# are set because the build has no GPU to detect them on.
RUN DS_ACCELERATOR=cuda DS_BUILD_FUSED_ADAM=1 TORCH_CUDA_ARCH_LIST=7.0 \
    pip install --constraint constraints.txt --force-reinstall --no-deps --no-build-isolation --no-binary deepspeed deepspeed
COPY pyproject.toml README.md LICENSE ./
COPY platform platform
COPY workloads workloads
RUN pip install --constraint constraints.txt ".[s3]" \
 && python -c 'import torch; assert torch.version.cuda == "12.6" and "sm_70" in torch.cuda.get_arch_list()' \
 && python -c 'from deepspeed.git_version_info import installed_ops; assert installed_ops["fused_adam"]'

FROM python:3.11-slim-bookworm
# wget: for the health checks of Kubernetes.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends libgomp1 wget \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 1000 --create-home ray
COPY --from=build /opt/venv /opt/venv
COPY sweeps /opt/assay/sweeps
# NVIDIA_…: the parts of the driver that the container runtime provides. RAY_AUTH_MODE: a cluster of this image does not
# start without a token, since anyone who reaches Ray's ports can run code on it.
ENV PATH=/opt/venv/bin:$PATH RAY_AUTH_MODE=token \
    NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
USER 1000
WORKDIR /home/ray
CMD ["bash"]
