# One file, three images:
#   docker build --target worker   -t ensemble-instruct-worker .     Celery workers and the reconciler
#   docker build --target services -t ensemble-instruct-services .   the command line, migrations, the explorer, Flower
#   docker build --target models   -t ensemble-instruct-models .     two small LMs on a CPU, for a trial without GPUs
# Everything is installed from the hashed lock files; the final stages have no compiler, no pip, no shell history.

ARG PYTHON_VERSION=3.11
ARG DEBIAN=bookworm

FROM python:${PYTHON_VERSION}-slim-${DEBIAN} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
RUN python -m venv --without-pip /opt/venv
COPY locks/ locks/
RUN python -m pip --python /opt/venv/bin/python install --require-hashes -r locks/build.txt
COPY LICENSE README.md pyproject.toml ./
# What is installed of the project is its name, its version and where its code will lie: a change of the code does not
# install all packages anew.
RUN mkdir -p shared workers services && touch shared/__init__.py workers/__init__.py services/__init__.py
RUN python -m pip --python /opt/venv/bin/python install --no-deps --no-build-isolation --editable .
RUN python -m pip --python /opt/venv/bin/python uninstall --yes setuptools

FROM build AS build-worker
RUN python -m pip --python /opt/venv/bin/python install --require-hashes -r locks/worker.txt

FROM build AS build-services
RUN python -m pip --python /opt/venv/bin/python install --require-hashes -r locks/services.txt

FROM build AS build-models
RUN python -m pip --python /opt/venv/bin/python install --require-hashes -r locks/models.txt

FROM python:${PYTHON_VERSION}-slim-${DEBIAN} AS base
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="ensemble-instruct" \
      org.opencontainers.image.description="Instruction-tuning data from several small open language models" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
RUN python -m pip uninstall --yes pip setuptools wheel && groupadd --gid 10001 ensemble && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin ensemble
ENV PATH=/opt/venv/bin:${PATH} PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp
WORKDIR /app
COPY LICENSE pyproject.toml ./
COPY shared/ shared/
COPY prompts/ prompts/
COPY seeds/ seeds/
USER 10001:10001

FROM base AS worker
COPY --from=build-worker /opt/venv /opt/venv
COPY workers/ workers/
ENV HEALTH_ADDRESS=0.0.0.0:9464
EXPOSE 9464
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 CMD ["python", "-m", "shared.telemetry.probe"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["celery", "-A", "workers.app", "worker"]
CMD ["-Q", "instructions,instances,consensus,control"]

FROM base AS services
COPY --from=build-services /opt/venv /opt/venv
COPY jobs/ jobs/
COPY k8s/ k8s/
COPY services/ services/
HEALTHCHECK NONE
ENTRYPOINT ["ensemble-instruct"]
CMD ["--help"]

FROM base AS models
COPY --from=build-models /opt/venv /opt/venv
COPY services/ services/
ENV ENSEMBLE_INSTRUCT_HOME=/data
VOLUME /data
HEALTHCHECK --interval=10s --timeout=5s --start-period=120s --retries=3 CMD ["python", "-m", "shared.telemetry.probe", "http://127.0.0.1:8080/health"]
ENTRYPOINT ["python", "-m"]
CMD ["services.local.serve", "gemma", "--host", "0.0.0.0"]
