begin "package.json"
need_node
node - <<'JAVASCRIPT' || fail "package.json cannot be added to" "see the message above, and correct the file"
@MERGE@
JAVASCRIPT
