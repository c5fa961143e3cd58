# For progress and failures: what is done, which step failed, what to do next.
step=start
say() { printf 'convex: %s\n' "$*" >&2; }
begin() {
    step=$1
    say "$step"
}
fail() {
    printf 'convex: FAILED at "%s": %s\n' "$step" "$1" >&2
    printf 'convex: next: %s\n' "$2" >&2
    exit 1
}

# value NAME FILE: what an env file says of one variable, which has one line.
value() {
    local line
    [ -f "$2" ] || return 0
    line=$(grep -E "^(export )?$1=" "$2" | tail -n 1) || return 0
    line=${line#*=}
    line=${line%$'\r'}
    case $line in
        \'*\') line=${line#\'} line=${line%\'} ;;
        \"*\") line=${line#\"} line=${line%\"} ;;
    esac
    printf '%s' "$line"
}

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

# wait_for URL SECONDS: whether it answers in time.
wait_for() {
    local deadline=$((SECONDS + $2))
    until curl -fsS -m 5 -o /dev/null "$1" 2>/dev/null; do
        if ((SECONDS >= deadline)); then return 1; fi
        sleep 1
    done
}
