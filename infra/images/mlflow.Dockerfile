# MLflow's tracking server, without Ray and PyTorch.
#
#   docker build -f infra/images/mlflow.Dockerfile -t assay:mlflow .
FROM python:3.11-slim-bookworm
COPY constraints.txt /opt/mlflow/
RUN pip install --no-cache-dir --constraint /opt/mlflow/constraints.txt \
    boto3 "Flask-WTF<2" mlflow "psycopg[binary]" \
 && useradd --uid 1000 --create-home mlflow
COPY infra/mlflow /opt/mlflow
USER 1000
WORKDIR /home/mlflow
CMD ["/opt/mlflow/serve.sh"]
