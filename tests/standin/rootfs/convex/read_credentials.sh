#!/bin/sh
# To be sourced. Settles the instance's name and secret, exports them and keeps them on the volume: what the
# environment says, else what the volume remembers, else a default name and a new secret. The environment replaces
# what the volume remembers at every start.
set -e

DATA_DIR=${DATA_DIR:-/convex/data}
CREDENTIALS_DIR=${CREDENTIALS_DIR:-$DATA_DIR/credentials}
mkdir -p "$CREDENTIALS_DIR"

if [ -z "$INSTANCE_NAME" ] && [ -f "$CREDENTIALS_DIR/instance_name" ]; then
    INSTANCE_NAME=$(cat "$CREDENTIALS_DIR/instance_name")
fi
if [ -z "$INSTANCE_SECRET" ] && [ -f "$CREDENTIALS_DIR/instance_secret" ]; then
    INSTANCE_SECRET=$(cat "$CREDENTIALS_DIR/instance_secret")
fi
if [ -z "$INSTANCE_SECRET" ]; then
    INSTANCE_SECRET=$(head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \n')
fi
export INSTANCE_NAME="${INSTANCE_NAME:-convex-self-hosted}" INSTANCE_SECRET

printf '%s\n' "$INSTANCE_NAME" >"$CREDENTIALS_DIR/instance_name"
printf '%s\n' "$INSTANCE_SECRET" >"$CREDENTIALS_DIR/instance_secret"
