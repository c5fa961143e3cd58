key=${CONVEX_SELF_HOSTED_ADMIN_KEY:-$(value CONVEX_SELF_HOSTED_ADMIN_KEY "$env_file")}
need_key() {
    [ -n "$key" ] || fail "CONVEX_SELF_HOSTED_ADMIN_KEY is not set" "give it to the agent (coder_env), or add it to $directory/$env_file"
}
