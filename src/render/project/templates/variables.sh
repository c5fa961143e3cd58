
begin "variables from the environment"
need_node
need_key
lacking=
# Values reach neither a command line nor a file.
CONVEX_SELF_HOSTED_URL=$url CONVEX_SELF_HOSTED_ADMIN_KEY=$key node - @NAMES@ <<'JAVASCRIPT' || lacking=$?
@SET@
JAVASCRIPT
[ "${lacking:-3}" = 3 ] || fail "they cannot be set" "see the message above"
