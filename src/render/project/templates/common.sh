# What is done goes to standard output; which step failed, and what to do next,
# to standard error.
step=start
say() { printf 'convex: %s\n' "$*"; }
# begin STEP [DETAIL]
begin() {
    step=$1
    say "$step${2:+: $2}"
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

# wait_for URL SECONDS: whether it answers in time. A long wait is told.
wait_for() {
    local begun=$SECONDS told=0 waited
    command -v curl >/dev/null || fail "there is no curl here" "install curl"
    until curl -fsS -m 5 -o /dev/null "$1" 2>/dev/null; do
        waited=$((SECONDS - begun))
        if ((waited >= $2)); then return 1; fi
        if ((waited >= told + 10)); then
            told=$waited
            say "  no answer yet after $waited of $2 s"
        fi
        sleep 1
    done
}
