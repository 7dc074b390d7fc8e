#!/bin/sh
# oss2 against the sandbox, for script/bench disk.
# Usage: bench_oss.sh URL bucket | put FILE KEY | get KEY FILE | delete KEY
set -eu
here=$(dirname "$0")
environment=${CARGO_TARGET_DIR:-target}/peer/oss
if [ ! -x "$environment/bin/python" ]; then
    python3 -m venv "$environment"
    "$environment/bin/pip" install --quiet oss2==2.19.1 alibabacloud-oss-v2==1.4.1
fi
exec "$environment/bin/python" "$here/bench_oss.py" "$@"
