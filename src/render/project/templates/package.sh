begin "package.json"
command -v node >/dev/null || fail "there is no node here" "install Node.js 22 or newer"
node - <<'JAVASCRIPT' || fail "package.json cannot be added to" "see the message above, and correct the file"
@MERGE@
JAVASCRIPT
