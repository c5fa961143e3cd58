#!/usr/bin/env bash
# Makes this project ready for its Convex deployment: waits for the backend,
# writes the files that are missing, installs packages, deploys the functions.
# Does no harm when it runs again; whatever you changed stays as it is.
set -euo pipefail

@COMMON@
directory=@DIRECTORY@
manager=@MANAGER@
seconds=@SECONDS@
env_file=.env.convex.local

begin "directory $directory"
# A repository may be on its way there, and must find no directory of ours.
deadline=$((SECONDS + @CLONE_SECONDS@))
until [ -d "$directory" ] || ((SECONDS >= deadline)); do sleep 1; done
mkdir -p "$directory" || fail "it cannot be made" "make it yourself, or name another one"
cd "$directory" || fail "it cannot be entered" "see its permissions"

begin "files"
written=0
# write_missing PATH MODE: the file from standard input, unless there is one.
write_missing() {
    if [ -e "$1" ] || [ -L "$1" ]; then
        cat >/dev/null
        return
    fi
    mkdir -p "$(dirname "$1")"
    local new
    new=$(mktemp "$1.XXXXXX")
    cat >"$new"
    chmod "$2" "$new"
    mv "$new" "$1"
    written=$((written + 1))
    say "  wrote $1"
}
@FILES@
begin "$env_file"
@VARIABLES@
if [ -f "$env_file" ]; then chmod go-rwx "$env_file"; fi

begin "package.json"
command -v node >/dev/null || fail "there is no node here" "install Node.js 18 or newer"
node - <<'JAVASCRIPT' || fail "package.json cannot be added to" "see the message above, and correct the file"
@MERGE@
JAVASCRIPT

begin "dependencies"
# lock_of DIRECTORY: the manager that a directory speaks of.
lock_of() {
    local named
    named=$(sed -nE 's/.*"packageManager"[[:space:]]*:[[:space:]]*"(npm|pnpm|yarn|bun)@.*/\1/p' "$1/package.json" 2>/dev/null | head -n 1)
    if [ -n "$named" ]; then
        printf '%s' "$named"
    elif [ -e "$1/pnpm-lock.yaml" ] || [ -e "$1/pnpm-workspace.yaml" ]; then
        printf pnpm
    elif [ -e "$1/yarn.lock" ]; then
        printf yarn
    elif [ -e "$1/bun.lock" ] || [ -e "$1/bun.lockb" ]; then
        printf bun
    elif [ -e "$1/package-lock.json" ] || [ -e "$1/npm-shrinkwrap.json" ]; then
        printf npm
    fi
}
# The project itself decides, else the monorepo that it is in.
look=$PWD
while [ -z "$manager" ]; do
    manager=$(lock_of "$look")
    if [ "$look" = / ] || [ -e "$look/.git" ]; then break; fi
    look=$(dirname "$look")
done
manager=${manager:-npm}
if ! command -v "$manager" >/dev/null; then
    if [ "$manager" != bun ] && command -v corepack >/dev/null; then
        run_manager() { COREPACK_ENABLE_DOWNLOAD_PROMPT=0 corepack "$manager" "$@"; }
    else
        fail "there is no $manager here" "install $manager, which this project uses, or give package_manager"
    fi
else
    run_manager() { "$manager" "$@"; }
fi
# Nothing is installed twice for the same package.json.
mark=node_modules/.convex-installed
now=$(cksum <package.json)
if [ -d node_modules ] && [ -f "$mark" ] && [ "$(cat "$mark")" = "$now" ]; then
    say "  there already, by $manager"
else
    log=$(mktemp)
    if ! run_manager install >"$log" 2>&1; then
        tail -n 30 "$log" >&2
        rm -f "$log"
        fail "$manager install failed" "see above; then run it in $directory, and this script again"
    fi
    rm -f "$log"
    mkdir -p node_modules
    cksum <package.json >"$mark"
fi

begin "wait for the backend"
url=${CONVEX_SELF_HOSTED_URL:-$(value CONVEX_SELF_HOSTED_URL "$env_file")}
[ -n "$url" ] || fail "CONVEX_SELF_HOSTED_URL is not set" "give it to the agent (coder_env), or add it to $directory/$env_file"
wait_for "$url/version" "$seconds" || fail "$url/version does not answer after $seconds s" "see whether the backend runs: docker ps, docker logs; then restart the workspace"
@DEPLOY@
say "ready"
