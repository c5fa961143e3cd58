#!/bin/sh
# Starts the backend inside its container, with the signing key of the
# application in its own environment. Managed: a change is set aside and
# repaired.
set -eu

export DATA_DIR="${DATA_DIR:-/convex/data}"
export TMPDIR="${TMPDIR:-$DATA_DIR/tmp}"
export STORAGE_DIR="${STORAGE_DIR:-$DATA_DIR/storage}"
export SQLITE_DB="${SQLITE_DB:-$DATA_DIR/db.sqlite3}"

# From the file, else from the environment.
if [ -r /jwt_private_key.pem ] && [ -f /jwt_private_key.pem ]; then
    JWT_PRIVATE_KEY=$(cat /jwt_private_key.pem)
elif [ -n "${JWT_PRIVATE_KEY_BASE64:-}" ]; then
    JWT_PRIVATE_KEY=$(printf '%s' "$JWT_PRIVATE_KEY_BASE64" | base64 -d)
fi

# For a shell that somebody opens in the container: `. /convex/jwt_env.sh`.
if [ -n "${JWT_PRIVATE_KEY:-}" ]; then
    export JWT_PRIVATE_KEY
    # A PEM has no quotation marks in it.
    (umask 077 && printf "export JWT_PRIVATE_KEY='%s'\n" "$JWT_PRIVATE_KEY" >/convex/jwt_env.sh)
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

# The image's own script knows the flags of its release: name and secret,
# origins, ports, beacon, storage, and the database by POSTGRES_URL, MYSQL_URL,
# DATABASE_URL, else SQLite.
cd /convex
exec ./run_backend.sh "$@"
