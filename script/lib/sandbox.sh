# Sourced by the other scripts: a sandbox in the background, and real Packer
# pointed at it.

# start_sandbox BINARY OPTION...: sets sandbox_url, and the keys in the
# environment, from the lines `NAME=VALUE` that `alicloud-image sandbox` prints.
start_sandbox() {
    binary=$1
    shift
    sandbox_log=$(mktemp)
    "$binary" sandbox "$@" > "$sandbox_log" 2>&1 &
    sandbox_pid=$!
    tries=100
    until grep -q '^export ALICLOUD_SECRET_KEY=' "$sandbox_log"; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || { cat "$sandbox_log" >&2; exit 1; }
        sleep 0.1
    done
    eval "$(grep '^export ' "$sandbox_log")"
    sandbox_url=$ALIBABA_CLOUD_ENDPOINT_ECS
}

stop_sandbox() {
    [ -z "${sandbox_pid:-}" ] || kill "$sandbox_pid" 2>/dev/null || true
    rm -f "${sandbox_log:-}"
}

# run_packer TEMPLATE LOG: Packer sends plain HTTP through the proxy, which is
# the sandbox.
run_packer() {
    HTTP_PROXY=$sandbox_url CHECKPOINT_DISABLE=1 PACKER_NO_COLOR=1 \
        packer build "$1" > "$2" 2>&1
}
