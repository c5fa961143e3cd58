#!/usr/bin/env bash
# Runs npx convex with a key that can read and change nothing.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../../.."
if [ -z "${CONVEX_READ_ONLY_KEY:-}" ]; then
    printf '%s\n' 'CONVEX_READ_ONLY_KEY is not set. Ask the person to put a read-only admin key into the environment.' >&2
    exit 1
fi
url=${CONVEX_SELF_HOSTED_URL:-$(sed -n "s/^CONVEX_SELF_HOSTED_URL=//p" .env.convex.local | tr -d "'\"")}
export CONVEX_SELF_HOSTED_URL=$url CONVEX_SELF_HOSTED_ADMIN_KEY=$CONVEX_READ_ONLY_KEY
exec npx convex "$@"
