#!/bin/sh
# Starts the backend in place of this script, so that it is process 1 of the container. Arguments of the container
# come before the flags that the environment leads to.
set -e

export DATA_DIR="${DATA_DIR:-/convex/data}"
export TMPDIR="${TMPDIR:-$DATA_DIR/tmp}"
export STORAGE_DIR="${STORAGE_DIR:-$DATA_DIR/storage}"
export SQLITE_DB="${SQLITE_DB:-$DATA_DIR/db.sqlite3}"
mkdir -p "$TMPDIR" "$STORAGE_DIR"

# shellcheck source-path=SCRIPTDIR source=read_credentials.sh
. ./read_credentials.sh

# Any value that is not empty turns a switch on, "false" too: that is a trap of the real image.
set -- "$@" \
    --instance-name "$INSTANCE_NAME" \
    --instance-secret "$INSTANCE_SECRET" \
    --port 3210 \
    --site-proxy-port 3211 \
    --convex-origin "$CONVEX_CLOUD_ORIGIN" \
    --convex-site "$CONVEX_SITE_ORIGIN" \
    --beacon-tag self-hosted-docker \
    ${DISABLE_BEACON:+--disable-beacon} \
    ${REDACT_LOGS_TO_CLIENT:+--redact-logs-to-client} \
    ${DO_NOT_REQUIRE_SSL:+--do-not-require-ssl}

missing=
present=
for name in AWS_REGION S3_STORAGE_EXPORTS_BUCKET S3_STORAGE_SNAPSHOT_IMPORTS_BUCKET S3_STORAGE_MODULES_BUCKET \
    S3_STORAGE_FILES_BUCKET S3_STORAGE_SEARCH_BUCKET; do
    if [ -n "$(eval "printf '%s' \"\$$name\"")" ]; then present=$name; else missing="$missing $name"; fi
done
if [ -z "$missing" ]; then
    set -- "$@" --s3-storage
else
    if [ -n "$present" ]; then
        echo "Warning: files stay in a local directory, because these S3 settings are missing:$missing"
    fi
    set -- "$@" --local-storage "$STORAGE_DIR"
fi

if [ -n "$POSTGRES_URL" ]; then
    set -- "$@" --db postgres-v5 "$POSTGRES_URL"
elif [ -n "$MYSQL_URL" ]; then
    set -- "$@" --db mysql-v5 "$MYSQL_URL"
elif [ -n "$DATABASE_URL" ]; then
    echo "Warning: DATABASE_URL is deprecated, POSTGRES_URL and MYSQL_URL replace it. It is read as POSTGRES_URL."
    set -- "$@" --db postgres-v5 "$DATABASE_URL"
else
    set -- "$@" "$SQLITE_DB"
fi

exec ./convex-local-backend "$@"
