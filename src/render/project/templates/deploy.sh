
deploy() {
    if [ -n "$own" ] && [ ! -d convex ] && [ ! -f convex.json ]; then
        say "there are no functions to deploy: $directory has neither convex/ nor convex.json"
        return
    fi
    begin "deploy functions"
    # The variables of the deployment are set by now: the first deploy reads them.
    need_key
    local target=() log problem
    if [ -z "${CONVEX_SELF_HOSTED_ADMIN_KEY:-}" ]; then target=(--env-file "$env_file"); fi
    log=$(mktemp)
    if ! npx convex deploy --yes "${target[@]}" >"$log" 2>&1 </dev/null; then
        tail -n 30 "$log" >&2
        problem=$(cat "$log")
        rm -f "$log"
        # The command line asks before it does these, and there is nobody to answer.
        case $problem in
            *--skip-large-indexes-check*)
                fail "this deploy makes or deletes an index of a table with 100,000 documents or more" "if you mean it, run in $directory: npx convex deploy --yes --skip-large-indexes-check ${target[*]}" ;;
            *--allow-unstaging-schema*)
                fail "this deploy drops a staged schema" "if you mean it, run in $directory: npx convex deploy --yes --allow-unstaging-schema ${target[*]}" ;;
            *AuthConfigMissingEnvironmentVariable* | *"not set"*)
                fail "a variable of the deployment is missing" "set it with convex_env, apply, and run this again" ;;
            *BadAdminKey* | *401*)
                fail "the admin key is not of this deployment" "see CONVEX_SELF_HOSTED_ADMIN_KEY in the environment and in $env_file" ;;
            *) fail "npx convex deploy failed" "see above; then run it in $directory: npx convex deploy --yes ${target[*]}" ;;
        esac
    fi
    rm -f "$log"
}
deploy
