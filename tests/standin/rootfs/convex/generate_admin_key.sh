#!/bin/sh
# Prints an admin key for the instance of this container.
set -e

# shellcheck source-path=SCRIPTDIR source=read_credentials.sh
. ./read_credentials.sh
exec ./generate_key "$INSTANCE_NAME" "$INSTANCE_SECRET"
