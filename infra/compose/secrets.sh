#!/usr/bin/env bash
# Creates the passwords of compose.yaml, once, in .env beside it (or in the file given), readable by you alone.
set -euo pipefail
umask 077
file=${1:-$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/.env}
if [[ -e $file ]]; then
  echo "secrets.sh: $file already exists. PostgreSQL and MLflow keep the passwords of their first start: to change" \
    "them, remove it and their volumes (docker compose down --volumes), which deletes all their data" >&2
  exit 1
fi
random() { od -An -N32 -tx1 /dev/urandom | tr -d ' \n'; }
cat >"$file" <<END
COMPOSE_PROJECT_NAME=assay
POSTGRES_PASSWORD=$(random)
MLFLOW_FLASK_SERVER_SECRET_KEY=$(random)
MLFLOW_TRACKING_USERNAME=admin
MLFLOW_TRACKING_PASSWORD=$(random)
AWS_ACCESS_KEY_ID=assay
AWS_SECRET_ACCESS_KEY=$(random)
AWS_ENDPOINT_URL=http://127.0.0.1:8333
RAY_AUTH_MODE=token
RAY_AUTH_TOKEN=$(random)
END
echo "$file"
