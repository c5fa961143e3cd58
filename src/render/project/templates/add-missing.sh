# add_missing NAME VALUE COMMENT FILE: adds a variable to an env file that only
# its owner may read, unless the file has it.
add_missing() {
    if [ -z "$2" ] || { [ -f "$4" ] && grep -qE "^(export )?$1=" "$4"; }; then return 0; fi
    local new
    case $2 in
        *\'*) fail "the value of $1 has an apostrophe" "write it as base64 or percent-encoded" ;;
    esac
    new=$(umask 077 && mktemp "$4.XXXXXX")
    {
        if [ -s "$4" ]; then
            cat "$4"
            # A last line without an end would swallow the next one.
            if [ -n "$(tail -c 1 "$4")" ]; then printf '\n'; fi
            printf '\n'
        fi
        case $2 in
            *[!A-Za-z0-9_./:@%+,=-]*) printf "# %s\n%s='%s'\n" "$3" "$1" "$2" ;;
            *) printf '# %s\n%s=%s\n' "$3" "$1" "$2" ;;
        esac
    } >"$new"
    mv "$new" "$4"
}
