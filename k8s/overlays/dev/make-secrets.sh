#!/bin/sh
# Writes secrets/*.env with random passwords, for this overlay's trial Postgres and Valkey. They are not for git.
# HF_TOKEN, if it is set, goes into the hub's.
set -eu
cd "$(dirname "$0")"
if [ -e secrets ]; then
    echo "$PWD/secrets exists already, and a running Postgres knows the passwords in it; remove it to begin anew" >&2
    exit 2
fi
umask 077
random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }
owner=$(random)
worker=$(random)
operator=$(random)
reader=$(random)
scaler=$(random)
redis=$(random)
mkdir secrets
{
    echo "owner-url=postgresql://ensemble_instruct:$owner@postgres:5432/ensemble_instruct"
    echo "worker-url=postgresql://worker:$worker@postgres:5432/ensemble_instruct"
    echo "operator-url=postgresql://operator:$operator@postgres:5432/ensemble_instruct"
    echo "reader-url=postgresql://reader:$reader@postgres:5432/ensemble_instruct"
    # KEDA asks from another namespace
    echo "scaler-url=postgresql://scaler:$scaler@postgres.ensemble-instruct:5432/ensemble_instruct"
} > secrets/database.env
{
    echo "worker=$worker"
    echo "operator=$operator"
    echo "reader=$reader"
    echo "scaler=$scaler"
} > secrets/logins.env
echo "url=redis://:$redis@redis:6379/0" > secrets/broker.env
echo "password=$owner" > secrets/postgres.env
echo "password=$redis" > secrets/redis.env
echo "token=${HF_TOKEN:-}" > secrets/hub-token.env
echo "wrote $PWD/secrets"
