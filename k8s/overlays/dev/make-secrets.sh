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
postgres=$(random)
redis=$(random)
address="postgresql://ensemble_instruct:$postgres@postgres:5432/ensemble_instruct"
mkdir secrets
{
    echo "owner-url=$address"
    echo "worker-url=$address"
    echo "operator-url=$address"
    # KEDA asks from another namespace
    echo "scaler-url=postgresql://ensemble_instruct:$postgres@postgres.ensemble-instruct:5432/ensemble_instruct"
} > secrets/database.env
echo "url=redis://:$redis@redis:6379/0" > secrets/broker.env
echo "password=$postgres" > secrets/postgres.env
echo "password=$redis" > secrets/redis.env
echo "token=${HF_TOKEN:-}" > secrets/hub-token.env
echo "wrote $PWD/secrets"
