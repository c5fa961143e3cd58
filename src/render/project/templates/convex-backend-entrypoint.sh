#!/bin/sh
# Starts the backend inside its container; docker-compose.convex.yml mounts
# this file there. Managed: a change is set aside and repaired.
set -eu

export DATA_DIR="${DATA_DIR:-/convex/data}"
export TMPDIR="${TMPDIR:-$DATA_DIR/tmp}"
export STORAGE_DIR="${STORAGE_DIR:-$DATA_DIR/storage}"
export SQLITE_DB="${SQLITE_DB:-$DATA_DIR/db.sqlite3}"

# The key that signs sign-in tokens: from the file, else from the environment.
if [ -r /jwt_private_key.pem ] && [ -f /jwt_private_key.pem ]; then
    JWT_PRIVATE_KEY=$(cat /jwt_private_key.pem)
    export JWT_PRIVATE_KEY
elif [ -n "${JWT_PRIVATE_KEY_BASE64:-}" ]; then
    JWT_PRIVATE_KEY=$(printf '%s' "$JWT_PRIVATE_KEY_BASE64" | base64 -d)
    export JWT_PRIVATE_KEY
fi

# An empty value stops the backend, where no value at all means the default.
if [ -z "${DISABLE_BEACON:-}" ]; then unset DISABLE_BEACON; fi
# The word "false" would turn these on.
if [ "${DO_NOT_REQUIRE_SSL:-}" = false ]; then unset DO_NOT_REQUIRE_SSL; fi
if [ "${REDACT_LOGS_TO_CLIENT:-}" = false ]; then unset REDACT_LOGS_TO_CLIENT; fi

# A server that says it has no TLS is not asked for it.
case ${POSTGRES_URL:-} in
    *[?\&]sslmode=disable*) export DO_NOT_REQUIRE_SSL=true ;;
esac

# The image's own script knows the flags of its release: origins, ports,
# database (POSTGRES_URL, MYSQL_URL, DATABASE_URL, else SQLite), and storage.
cd /convex
exec ./run_backend.sh "$@"
