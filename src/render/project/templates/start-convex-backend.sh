#!/usr/bin/env bash
# Starts the Convex deployment of docker-compose.convex.yml, waits until it
# answers, and puts its admin key into .env.convex.local. Safe to repeat.
# Managed: a change is set aside and repaired.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

@COMMON@
env_file=.env.convex.local
seconds=${CONVEX_WAIT_SECONDS:-120}
@PORTS@
api=http://127.0.0.1:$api_port

compose() { docker compose --env-file "$env_file" -f docker-compose.convex.yml "$@"; }

begin "check Docker"
command -v docker >/dev/null || fail "there is no docker here" "install Docker, or use a deployment that runs elsewhere"
docker compose version >/dev/null 2>&1 || fail "docker has no compose plugin" "install docker-compose-plugin (version 2)"
docker info >/dev/null 2>&1 || fail "the Docker daemon does not answer" "start it, or set DOCKER_HOST"
[ -f "$env_file" ] || fail "there is no $env_file" "run scripts/setup-convex.sh, which writes it and calls this script"
[ -f jwt_private_key.pem ] || fail "there is no jwt_private_key.pem" "run scripts/setup-convex.sh, which makes it"

begin "start the containers"
if ! problem=$(compose up -d 2>&1); then
    printf '%s\n' "$problem" | tail -n 20 >&2
    case $problem in
        *"already allocated"* | *"address already in use"*)
            docker ps --format '{{.Names}} {{.Ports}}' | grep -E ":($api_port|$site_port|$dashboard_port)->" >&2 || true
            fail "a port is in use" "stop what holds it, or set CONVEX_API_PORT, CONVEX_SITE_PORT and CONVEX_DASHBOARD_PORT" ;;
        *unhealthy* | *exited*)
            compose logs --tail 20 convex-backend >&2 || true
            fail "the backend does not start" "see its log above; after correcting the cause run this again" ;;
        *) fail "docker compose refused" "see above" ;;
    esac
fi

begin "wait for the backend" "up to $seconds s, at $api/version"
if ! wait_for "$api/version" "$seconds"; then
    compose ps >&2 || true
    compose logs --tail 20 convex-backend >&2 || true
    fail "$api/version does not answer after $seconds s" "see the log above; then: docker compose -f docker-compose.convex.yml up -d --force-recreate"
fi

begin "admin key"
if [ -z "$(value CONVEX_SELF_HOSTED_ADMIN_KEY "$env_file")" ]; then
    key=$(compose exec -T convex-backend ./generate_admin_key.sh 2>/dev/null | tail -n 1 | tr -d '\r')
    [ -n "$key" ] || fail "the backend gave no admin key" "run: docker compose -f docker-compose.convex.yml exec convex-backend ./generate_admin_key.sh"
    add_missing CONVEX_SELF_HOSTED_ADMIN_KEY "$key" "Its admin key: full control over the deployment. Keep it secret." "$env_file"
fi
add_missing CONVEX_SELF_HOSTED_URL "$api" "Where the convex command line reaches the deployment." "$env_file"

# setup-convex.sh knows where browsers reach it.
dashboard=${CONVEX_DASHBOARD:-http://localhost:$dashboard_port}
say "the dashboard is at $dashboard; log in with CONVEX_SELF_HOSTED_ADMIN_KEY of $env_file"
