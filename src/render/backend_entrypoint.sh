#!/bin/sh
# Starts the backend with the signing key of the application in its own
# environment, for programs beside it that look there.
set -eu

# From the file, else from the environment.
if [ -f /jwt_private_key.pem ]; then
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

# The image's own script knows the flags of its release: name and secret,
# origins, ports, beacon, and the database, by POSTGRES_URL, MYSQL_URL,
# DATABASE_URL, else SQLite.
cd /convex
exec ./run_backend.sh "$@"
