#!/usr/bin/env bash
# Sets up the Convex deployment of this project: writes what is missing in
# .env.convex.local, makes the key for sign-in tokens, starts the backend unless
# it runs already, and sets the deployment's variables. Safe to repeat.
# Managed: a change is set aside and repaired.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

@COMMON@
env_file=.env.convex.local
slug_api=@SLUG_API@
slug_site=@SLUG_SITE@
slug_dashboard=@SLUG_DASHBOARD@

@PORTS@

begin "find the addresses"
# app SLUG PORT: where browsers reach an app of the workspace, else a port.
app() {
    local workspace=${CODER_WORKSPACE_NAME:-} owner=${CODER_WORKSPACE_OWNER_NAME:-${USER:-}} host
    if [ -z "${CODER:-}" ] || [ -z "$workspace" ]; then
        printf 'http://localhost:%s' "$2"
        return
    fi
    host="$1--$workspace--$owner"
    case ${VSCODE_PROXY_URI:-} in
        # Coder tells here how hosts of apps look: https://{{port}}--agent--…
        *"://{{port}}--"*"--$workspace--$owner"*)
            host=${VSCODE_PROXY_URI%%://*}://$host${VSCODE_PROXY_URI#*"--$workspace--$owner"} ;;
        *)
            [ "${WILDCARD_FROM_CODER_URL:-}" = true ] ||
                fail "Coder serves no apps under host names of their own here: VSCODE_PROXY_URI has none" "have the server's administrator set CODER_WILDCARD_ACCESS_URL; if apps are below the host of CODER_URL all the same, run: WILDCARD_FROM_CODER_URL=true scripts/setup-convex.sh"
            [ -n "${CODER_URL:-}" ] || fail "CODER_URL is not set" "set it to the address of Coder, such as https://coder.example.com"
            host=${CODER_URL%%://*}://$host.${CODER_URL#*://} ;;
    esac
    # Browsers write hosts in lower case, and without a path.
    printf '%s' "$host" | sed -E 's#^([^/]*//[^/]*).*#\1#' | tr '[:upper:]' '[:lower:]'
}
api=$(app "$slug_api" "$api_port")
site=$(app "$slug_site" "$site_port")
dashboard=@DASHBOARD@
[ -n "$dashboard" ] || dashboard=$(app "$slug_dashboard" "$dashboard_port")

begin "find the database"
# The backend appends the name of its instance, so the URL goes without one.
database=${DATABASE_URL:-${POSTGRES_URI:-${POSTGRES_URL:-}}}
case $database in
    '') ;;
    postgres://* | postgresql://*)
        query=
        case $database in *\?*) query="?${database#*\?}" ;; esac
        database=${database%%\?*}
        rest=${database#*://}
        case $rest in
            *@*) ;;
            *) fail "the database URL has no user" "write postgres://USER:PASSWORD@HOST:PORT" ;;
        esac
        database=${database%%://*}://${rest%%/*}$query ;;
    *) fail "the database URL is not one of PostgreSQL" "write postgres://USER:PASSWORD@HOST:PORT, or unset it for SQLite" ;;
esac
if [ -z "$database" ] && [ -z "$(value POSTGRES_URL "$env_file")" ]; then
    say "no DATABASE_URL, POSTGRES_URI or POSTGRES_URL: the data is kept in SQLite on the volume"
fi

begin "write $env_file"
add_missing POSTGRES_URL "$database" "The database server, without a database name: Convex appends its own." "$env_file"
add_missing CONVEX_CLOUD_ORIGIN "$api" "Where browsers reach the API." "$env_file"
# Not the public address: the backend fetches the keys of its tokens from here,
# from inside its container.
add_missing CONVEX_SITE_ORIGIN "@ISSUER@" "The site origin that the backend runs on." "$env_file"
issuer=$(value CONVEX_SITE_ORIGIN "$env_file")
api=$(value CONVEX_CLOUD_ORIGIN "$env_file")
add_missing CONVEX_SITE_URL "$issuer" "The same address, as functions read it." "$env_file"
add_missing CONVEX_DEPLOYMENT_URL "$api" "The address of the deployment: its API." "$env_file"
add_missing VITE_CONVEX_URL "$api" "The same address, as a Vite frontend reads it." "$env_file"
add_missing VITE_CONVEX_SITE_URL "$site" "Where browsers reach HTTP actions." "$env_file"
site=$(value VITE_CONVEX_SITE_URL "$env_file")
add_missing JWT_ISSUER "$issuer" "The issuer of sign-in tokens: CONVEX_SITE_ORIGIN." "$env_file"
chmod go-rwx "$env_file"

begin "keep secrets out of git"
touch .gitignore
for name in .env.convex.local .env.convex.deployment jwt_private_key.pem; do
    if ! grep -qxF -- "$name" .gitignore; then
        if [ -n "$(tail -c 1 .gitignore)" ]; then printf '\n' >>.gitignore; fi
        printf '%s\n' "$name" >>.gitignore
    fi
done

begin "make the key for sign-in tokens"
if [ ! -f jwt_private_key.pem ]; then
    key=$(value JWT_PRIVATE_KEY_BASE64 .env.convex.deployment)
    (
        umask 077
        if [ -n "$key" ]; then
            printf '%s' "$key" | base64 -d >jwt_private_key.pem.new
        else
            command -v openssl >/dev/null || fail "there is no openssl here" "install openssl"
            openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out jwt_private_key.pem.new 2>/dev/null ||
                openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out jwt_private_key.pem.new 2>/dev/null
        fi
        mv jwt_private_key.pem.new jwt_private_key.pem
    ) || fail "the key cannot be made" "make jwt_private_key.pem with: openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048"
fi
chmod go-rwx jwt_private_key.pem

begin "start the backend"
url=${CONVEX_SELF_HOSTED_URL:-$(value CONVEX_SELF_HOSTED_URL "$env_file")}
if [ -n "$url" ] && wait_for "$url/version" 2; then
    say "it runs already, at $url"
else
    CONVEX_DASHBOARD=$dashboard ./start-convex-backend.sh || exit 1
fi

# Before the first deploy: it reads variables that authentication needs.
begin "set the deployment's variables"
./scripts/init-convex-env.sh || exit 1

say "ready"
say "  API        $api"
say "  site       $site"
say "  dashboard  $dashboard"
say "next: npm run dev:backend, which deploys the functions and generates convex/_generated"
