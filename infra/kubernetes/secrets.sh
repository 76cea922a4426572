#!/usr/bin/env bash
# Prints secrets.example.yaml with a random value for each CHANGE-ME. Do not write it to a file:
#
#   infra/kubernetes/secrets.sh | kubectl create --namespace assay -f -
set -euo pipefail
random() { od -An -N32 -tx1 /dev/urandom | tr -d ' \n'; }
while IFS= read -r line; do
  case $line in
    \#*) ;;
    *": CHANGE-ME") echo "${line%CHANGE-ME}$(random)" ;;
    *) echo "$line" ;;
  esac
done <"$(dirname "${BASH_SOURCE[0]}")/secrets.example.yaml"
