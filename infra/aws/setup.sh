#!/usr/bin/env bash
# Set up a new Debian 12 machine for the cluster: its environment in /opt/assay and, for GPUs, the driver. Idempotent.
# The wheel and constraints.txt must be in the same folder.
#
#   setup.sh cpu | cu126     PyTorch's build. A V100 needs cu126: later builds have no kernels for it
set -euo pipefail
build=${1:?"which of PyTorch's builds: cpu or cu126"}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export DEBIAN_FRONTEND=noninteractive
apt=(sudo -E apt-get -qq -o DPkg::Lock::Timeout=600)

packages=(python3-venv g++)
if [[ $build == cu* ]]; then
  # Debian's own driver, 535, which supports all of CUDA 12. Its open kernel modules do not support V100s.
  printf '%s\n' 'Types: deb' 'URIs: https://deb.debian.org/debian' 'Suites: bookworm bookworm-updates' \
    'Components: contrib non-free non-free-firmware' 'Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg' |
    sudo tee /etc/apt/sources.list.d/nvidia.sources >/dev/null
  packages+=("linux-headers-$(uname -r)" nvidia-kernel-dkms nvidia-smi libcuda1 nvidia-persistenced)
fi
if ! dpkg -s "${packages[@]}" >/dev/null 2>&1; then
  "${apt[@]}" update
  "${apt[@]}" install --yes --no-install-recommends "${packages[@]}" >/dev/null
fi
if [[ $build == cu* ]]; then
  sudo modprobe nvidia
  nvidia-smi --list-gpus
fi

sudo install -d -o "$USER" /opt/assay
[[ -x /opt/assay/bin/pip ]] || python3 -m venv /opt/assay
pip=(/opt/assay/bin/pip --quiet --disable-pip-version-check --no-cache-dir install --constraint "$here/constraints.txt")
torch=$(sed -n 's/^torch==//p' "$here/constraints.txt")
# PyTorch comes from its own index and everything else from PyPI: no package is searched in both.
"${pip[@]}" --no-deps --index-url "https://download.pytorch.org/whl/$build" "torch==$torch+$build"
wheels=("$here"/assay-*.whl)
"${pip[@]}" "${wheels[0]}[s3]" boto3  # the head starts machines with boto3
"${pip[@]}" --force-reinstall --no-deps "${wheels[0]}"  # the version may not have changed

# Debian resolves a machine's own name to 127.0.1.1, where gloo would wait for other machines: name the interface.
network=$(ip -o route get 1.1.1.1 | sed 's/.* dev \([^ ]*\).*/\1/')
# shellcheck disable=SC2016  # $PATH is for the shell that reads it
line='export PATH=/opt/assay/bin:$PATH RAY_AUTH_MODE=token'" GLOO_SOCKET_IFNAME=$network"
grep -qxF "$line" ~/.bashrc || echo "$line" >>~/.bashrc
