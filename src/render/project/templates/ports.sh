# port NAME DEFAULT: the port of this machine that the compose file publishes,
# by the environment, else by the env file.
port() {
    local port=${!1:-$(value "$1" "$env_file")}
    printf '%s' "${port:-$2}"
}
api_port=$(port CONVEX_API_PORT @API_PORT@)
site_port=$(port CONVEX_SITE_PORT @SITE_PORT@)
dashboard_port=$(port CONVEX_DASHBOARD_PORT @DASHBOARD_PORT@)
