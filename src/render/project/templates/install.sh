#!/usr/bin/env bash
# Makes this project ready for its Convex deployment: its files, its packages
# and its functions. Does no harm when it runs again; whatever you changed stays
# as it is.
set -euo pipefail

@COMMON@
directory=@DIRECTORY@
manager=@MANAGER@
seconds=@SECONDS@
env_file=.env.convex.local
# Whether the app is a repository's own.
own=@OWN@

# Nothing is installed for a Node.js that its packages refuse.
need_node() {
    command -v node >/dev/null || fail "there is no node here" "install Node.js @NODE@"
    [ -n "$own" ] || node -e 'const [major, minor] = process.versions.node.split(".").map(Number); process.exit(@IS_SUPPORTED@ ? 0 : 1)' ||
        fail "Node.js $(node --version) is too old for the packages of this app" "install Node.js @NODE@"
}

begin "directory $directory"
# A repository may be on its way there, and must find no directory of ours.
deadline=$((SECONDS + @CLONE_SECONDS@))
if [ ! -d "$directory" ] && ((@CLONE_SECONDS@ > 0)); then
    say "  waiting up to @CLONE_SECONDS@ s for a clone to make it"
fi
until [ -d "$directory" ] || ((SECONDS >= deadline)); do sleep 1; done
if [ -n "$own" ] && [ ! -d "$directory" ]; then
    say "  there is none yet: clone your repository to $directory, and run this script again"
    exit 0
fi
mkdir -p "$directory" || fail "it cannot be made" "make it yourself, or name another one"
cd "$directory" || fail "it cannot be entered" "see its permissions"

@WRITE@

if [ -n "$own" ] && [ ! -f package.json ]; then
    say "  there is no package.json in $directory yet: clone your repository to it, and run this script again"
    exit 0
fi

begin "dependencies"
need_node
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
    say "  $manager install, which can take minutes"
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

url=${CONVEX_SELF_HOSTED_URL:-$(value CONVEX_SELF_HOSTED_URL "$env_file")}
begin "wait for the backend" "up to $seconds s, at $url/version"
[ -n "$url" ] || fail "CONVEX_SELF_HOSTED_URL is not set" "give it to the agent (coder_env), or add it to $directory/$env_file"
wait_for "$url/version" "$seconds" || fail "$url/version does not answer after $seconds s" "see whether the backend runs: docker ps, docker logs; then restart the workspace"
@KEY@
@VARIABLES@
@DEPLOY@
@LACKING@
@NEXT@
say "ready"
