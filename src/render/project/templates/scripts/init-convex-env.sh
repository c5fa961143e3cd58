#!/usr/bin/env bash
# Sets the variables of the Convex deployment, all in one request: those for
# sign-in tokens that are not set yet, and those below USER VARIABLES in
# .env.convex.deployment. With --replace those for sign-in tokens are replaced,
# too, which signs everybody out. Needs bash, curl and openssl, but no Node.
# Safe to repeat. Managed: a change is set aside and repaired.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export LC_ALL=C

@COMMON@
replace=
case ${1:-} in
    '') ;;
    --replace) replace=yes ;;
    *) fail "unknown argument $1" "run scripts/init-convex-env.sh, or scripts/init-convex-env.sh --replace" ;;
esac
env_file=.env.convex.local
deployment_file=.env.convex.deployment
seconds=${CONVEX_WAIT_SECONDS:-120}
url=${CONVEX_SELF_HOSTED_URL:-$(value CONVEX_SELF_HOSTED_URL "$env_file")}
key=${CONVEX_SELF_HOSTED_ADMIN_KEY:-$(value CONVEX_SELF_HOSTED_ADMIN_KEY "$env_file")}
site=$(value CONVEX_SITE_ORIGIN "$env_file")
[ -n "$url" ] || fail "CONVEX_SELF_HOSTED_URL is not set" "run scripts/setup-convex.sh, or add it to $env_file"
[ -n "$key" ] || fail "CONVEX_SELF_HOSTED_ADMIN_KEY is not set" "run scripts/setup-convex.sh, or add it to $env_file"
[ -n "$site" ] || fail "CONVEX_SITE_ORIGIN is not set" "run scripts/setup-convex.sh, or add it to $env_file"

scratch=$(umask 077 && mktemp -d)
trap 'rm -rf "$scratch"' EXIT

begin "keys for sign-in tokens"
# In the order of the recipe: the file, else what was generated before, else new.
if [ -f jwt_private_key.pem ]; then
    cp jwt_private_key.pem "$scratch/key.pem"
else
    encoded=$(value JWT_PRIVATE_KEY_BASE64 "$deployment_file")
    if [ -n "$encoded" ]; then
        printf '%s' "$encoded" | base64 -d >"$scratch/key.pem" || fail "JWT_PRIVATE_KEY_BASE64 in $deployment_file is not base64" "remove the line, and run this again for a new key"
    else
        openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$scratch/key.pem" 2>/dev/null || fail "openssl made no key" "check: openssl version"
    fi
fi
# PKCS#8, which token libraries want; older forms are converted.
openssl pkcs8 -topk8 -nocrypt -in "$scratch/key.pem" -out "$scratch/pkcs8.pem" 2>/dev/null || fail "the key is no private key" "remove jwt_private_key.pem, and run this again for a new one"
pem=$(cat "$scratch/pkcs8.pem")
# The spelling of @convex-dev/auth: one line, with blanks between.
private_key=${pem//$'\n'/ }
modulus=$(openssl rsa -in "$scratch/pkcs8.pem" -noout -modulus 2>/dev/null) || fail "the key is not an RSA key" "remove jwt_private_key.pem, and run this again for a new one"
modulus=${modulus#Modulus=}
n=$(printf '%b' "$(printf '%s' "$modulus" | sed 's/../\\x&/g')" | openssl base64 -A | tr '+/' '-_' | tr -d '=')
jwks='{"keys":[{"use":"sig","kty":"RSA","n":"'$n'","e":"AQAB"}]}'

begin "write $deployment_file"
if [ ! -f "$deployment_file" ]; then
    (umask 077 && printf '# Variables of the Convex deployment. Secret: keep this file out of git.\n' >"$deployment_file.head")
    add_missing JWT_PRIVATE_KEY_BASE64 "$(printf '%s' "$pem" | openssl base64 -A)" "The key that signs sign-in tokens, a PEM file as base64." "$deployment_file.head"
    add_missing JWT_ISSUER "$site" "The issuer of sign-in tokens: CONVEX_SITE_ORIGIN." "$deployment_file.head"
    add_missing JWKS "$jwks" "The key that verifies them." "$deployment_file.head"
    cat >>"$deployment_file.head" <<'TEXT'

# === USER VARIABLES
# Your own, one a line, such as OPENAI_API_KEY=sk-... They stay as they are, and
# are set on the deployment together with those above.
TEXT
    mv "$deployment_file.head" "$deployment_file"
fi

begin "wait for the backend" "up to $seconds s, at $url/version"
wait_for "$url/version" "$seconds" || fail "$url/version does not answer after $seconds s" "start it with ./start-convex-backend.sh, or see npm run convex:logs"

# json NAME TEXT: the text as a JSON string.
json() {
    local text=$2 result='"' c i
    for ((i = 0; i < ${#text}; i++)); do
        c=${text:i:1}
        case $c in
            '"' | "\\") result+="\\$c" ;;
            $'\n') result+='\n' ;;
            $'\r') result+='\r' ;;
            $'\t') result+='\t' ;;
            [[:cntrl:]]) fail "the value of $1 has a control character" "encode it as base64" ;;
            *) result+=$c ;;
        esac
    done
    printf '%s"' "$result"
}
# Nothing secret may stand on a command line.
printf 'Authorization: Convex %s\n' "$key" >"$scratch/headers"
# ask PATH [OPTION…]: the status of the backend's answer, which is in reply.
ask() {
    curl -sS -m 60 -o "$scratch/reply" -w '%{http_code}' -H "@$scratch/headers" "${@:2}" "$url$1" || true
}
# refuse STATUS: ends with what a status other than 200 means.
refuse() {
    case $1 in
        401 | 403) fail "the backend does not accept the admin key" "remove CONVEX_SELF_HOSTED_ADMIN_KEY from $env_file, and run ./start-convex-backend.sh for a new one" ;;
        400) fail "the backend refused a variable: $(head -c 500 "$scratch/reply")" "correct the variable it names in $deployment_file; nothing was set" ;;
        *) fail "the backend answered with status $1" "see npm run convex:logs; nothing was set" ;;
    esac
}

begin "see which variables are set"
status=$(ask /api/list_environment_variables)
[ "$status" = 200 ] || refuse "$status"
present=$(cat "$scratch/reply")
# is_set NAME: whether the deployment has it. No text inside a value looks so.
is_set() { [[ $present == *"\"$1\":"* ]]; }

names=()
values=()
kept=()
# want NAME VALUE: sets a variable, unless it is there. Whoever set it knows why.
want() {
    local text
    text=$(json "$1" "$2") || exit 1
    if [ -z "$replace" ] && is_set "$1"; then
        if [[ $present != *"\"$1\":$text"* ]]; then kept+=("$1"); fi
        return
    fi
    names+=("$1")
    values+=("$2")
}
# Both or none: one of another pair would verify nothing.
if is_set JWT_PRIVATE_KEY && is_set JWKS; then
    want JWT_PRIVATE_KEY "$private_key"
    want JWKS "$jwks"
else
    names+=(JWT_PRIVATE_KEY JWKS)
    values+=("$private_key" "$jwks")
fi
want CONVEX_SITE_ORIGIN "$site"
want JWT_ISSUER "$site"
public_site=$(value VITE_CONVEX_SITE_URL "$env_file")
if [ -n "$public_site" ] && [ "$public_site" != "$site" ]; then
    want CUSTOM_AUTH_SITE_URL "$public_site"
fi
@SITE_URL@
if ((${#kept[@]} > 0)); then
    say "  left as they are: ${kept[*]}; to replace them: scripts/init-convex-env.sh --replace"
fi

begin "read your own variables"
# take NAME VALUE: one that is not empty; a later one of a name counts.
take() {
    local i
    if [ -z "$2" ]; then return; fi
    for i in "${!names[@]}"; do
        if [ "${names[i]}" = "$1" ]; then
            values[i]=$2
            return
        fi
    done
    names+=("$1")
    values+=("$2")
}
# Reads an env file as its other readers do, and runs nothing of it.
read_variables() {
    local text=$1 line name rest quote value c i
    while [ -n "$text" ]; do
        line=${text%%$'\n'*}
        if [[ $line =~ ^[[:space:]]*(#.*)?$ ]]; then
            [[ $text == *$'\n'* ]] || break
            text=${text#*$'\n'}
            continue
        fi
        [[ $line =~ ^[[:space:]]*(export[[:space:]]+)?([A-Za-z_][A-Za-z0-9_]*)[[:space:]]*=[[:space:]]*(.*)$ ]] ||
            fail "a line in $deployment_file is no variable: it has no name before a =" "write NAME=value, and begin comments with #"
        name=${BASH_REMATCH[2]} rest=${BASH_REMATCH[3]}
        quote=${rest:0:1}
        case $quote in
            \' | \" | \`)
                rest=${text#*=}
                rest=${rest#*"$quote"}
                value=
                if [ "$quote" = '"' ]; then
                    i=0
                    while c=${rest:i:1} && [ "$c" != '"' ]; do
                        [ -n "$c" ] || fail "the value of $name never ends" "close it with $quote"
                        if [ "$c" = "\\" ]; then
                            i=$((i + 1))
                            c=${rest:i:1}
                            case $c in
                                n) c=$'\n' ;;
                                r) c=$'\r' ;;
                                t) c=$'\t' ;;
                                '"' | "\\" | '$' | '`') ;;
                                *) c="\\$c" ;;
                            esac
                        fi
                        value+=$c
                        i=$((i + 1))
                    done
                    rest=${rest:i+1}
                else
                    [[ $rest == *"$quote"* ]] || fail "the value of $name never ends" "close it with $quote"
                    value=${rest%%"$quote"*}
                    rest=${rest#*"$quote"}
                fi
                [[ ${rest%%$'\n'*} =~ ^[[:space:]]*([[:space:]]#.*)?$ ]] ||
                    fail "the line of $name goes on after its closing quotation mark" "put the whole value into one pair of them" ;;
            *)
                value=${line#*=}
                # A comment begins with a # behind a blank.
                value=${value%%[ $'\t']#*}
                value=${value#"${value%%[![:space:]]*}"}
                value=${value%"${value##*[![:space:]]}"}
                rest=$text ;;
        esac
        take "$name" "$value"
        if [[ $rest == *$'\n'* ]]; then text=${rest#*$'\n'}; else text=; fi
    done
}
own=$(sed -n '/^[[:space:]]*#.*=== USER VARIABLES/,$p' "$deployment_file")
read_variables "$own"

if ((${#names[@]} == 0)); then
    say "every variable is set already"
    exit 0
fi
begin "set ${#names[@]} variables: ${names[*]}"
separator='{"changes":['
for i in "${!names[@]}"; do
    text=$(json "${names[i]}" "${values[i]}") || exit 1
    printf '%s{"name":"%s","value":%s}' "$separator" "${names[i]}" "$text"
    separator=,
done >"$scratch/body"
printf ']}' >>"$scratch/body"
for attempt in 1 2 3 4 5; do
    status=$(ask /api/update_environment_variables -H 'Content-Type: application/json' --data-binary "@$scratch/body")
    # Others change variables at the same time.
    if [ "$status" != 503 ]; then break; fi
    sleep "$attempt"
done
[ "$status" = 200 ] || refuse "$status"
say "set: ${names[*]}"
