#!/usr/bin/env bash
# MLflow's tracking server: runs in PostgreSQL, artifacts in a folder or S3, access with user names and passwords.
#
#   PGHOST PGPORT PGDATABASE PGUSER PGPASSWORD   of PostgreSQL, as for all of its clients
#   MLFLOW_ARTIFACTS_DESTINATION                 /a/folder or s3://bucket/prefix; S3's keys as AWS_… or a role
#   MLFLOW_AUTH_ADMIN_USERNAME, _PASSWORD        the first user, created at the first start (12 characters or more)
#   MLFLOW_FLASK_SERVER_SECRET_KEY               any long random text, the same for all replicas of this server
#   MLFLOW_HOST (127.0.0.1), MLFLOW_PORT (5000), MLFLOW_WORKERS (2)
#   MLFLOW_SERVER_ALLOWED_HOSTS                  host names of the server, if not localhost or an IP address
#
# Secrets are not on the command line, where every user of the machine could read them.
set -euo pipefail

missing=()
for name in PGHOST PGUSER PGDATABASE MLFLOW_ARTIFACTS_DESTINATION MLFLOW_AUTH_ADMIN_USERNAME \
  MLFLOW_AUTH_ADMIN_PASSWORD MLFLOW_FLASK_SERVER_SECRET_KEY; do
  [[ -n ${!name:-} ]] || missing+=("$name")
done
if ((${#missing[@]})); then
  echo "serve.sh: set ${missing[*]}; the top of $0 explains each" >&2
  exit 2
fi

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# psycopg reads the host, the database, the user and the password from PG…, as psql does.
export MLFLOW_BACKEND_STORE_URI=postgresql+psycopg://
export MLFLOW_AUTH_CONFIG_PATH=$here/basic_auth.ini
export MLFLOW_DISABLE_TELEMETRY=true DO_NOT_TRACK=true
export MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false # its helper processes are not needed here

exec mlflow server --app-name basic-auth \
  --host "${MLFLOW_HOST:-127.0.0.1}" --port "${MLFLOW_PORT:-5000}" --workers "${MLFLOW_WORKERS:-2}"
