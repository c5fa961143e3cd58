if [ -n "$lacking" ]; then
    step="variables from the environment"
    fail "the deployment lacks variables, which are named above" "add them to the environment of the workspace, such as with a user secret of Coder (coder secret create NAME --env NAME), and restart it"
fi
