# Sourced by the other scripts: sandboxes in the background, and clients
# pointed at them.

# start_sandbox BINARY OPTION...: sets sandbox_url, and the addresses and keys
# in the environment, from the lines that `alicloud-image sandbox` prints.
start_sandbox() {
    binary=$1
    shift
    sandbox_log=$(mktemp)
    "$binary" sandbox "$@" > "$sandbox_log" 2>&1 &
    sandbox_pids="${sandbox_pids:-} $!"
    tries=100
    until grep -q '^export ALICLOUD_SECRET_KEY=' "$sandbox_log"; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || { cat "$sandbox_log" >&2; exit 1; }
        sleep 0.1
    done
    eval "$(grep '^export ' "$sandbox_log")"
    rm -f "$sandbox_log"
    sandbox_url=$ALIBABA_CLOUD_ENDPOINT_ECS
}

stop_sandboxes() {
    for pid in ${sandbox_pids:-}; do
        kill "$pid" 2>/dev/null || true
    done
}

# seed JSON: places resources that were there before.
seed() {
    curl -fsS -o /dev/null -d "$1" "$sandbox_url/_sandbox/seed"
}

# run_packer ARGUMENT...: Packer sends plain HTTP through the proxy, which is
# the sandbox. It gives up waiting for SSH only after minutes, hence the limit.
run_packer() {
    HTTP_PROXY=$sandbox_url CHECKPOINT_DISABLE=1 PACKER_NO_COLOR=1 \
        PACKER_CACHE_DIR=${CARGO_TARGET_DIR:-target}/packer_cache \
        timeout 600 packer "$@"
}

# seconds_since NANOSECONDS: with one digit behind the point.
seconds_since() {
    tenths=$((($(date +%s%N) - $1) / 100000000))
    echo "$((tenths / 10)).$((tenths % 10))"
}
