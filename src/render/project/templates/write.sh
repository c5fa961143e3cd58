begin "files"
# write_missing PATH MODE: the file from standard input, unless there is one.
write_missing() {
    if [ -e "$1" ] || [ -L "$1" ]; then
        cat >/dev/null
        return
    fi
    mkdir -p "$(dirname "$1")"
    local new
    new=$(mktemp "$1.XXXXXX")
    cat >"$new"
    chmod "$2" "$new"
    mv "$new" "$1"
    say "  wrote $1"
}
@FILES@
begin "$env_file"
@ADD_MISSING@
@VARIABLES@
if [ -f "$env_file" ]; then chmod go-rwx "$env_file"; fi

@PACKAGE@
