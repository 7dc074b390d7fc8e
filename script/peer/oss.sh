#!/bin/sh
# Alibaba's own SDKs for Python work on the sandbox's OSS.
# Usage: oss.sh URL, with ALICLOUD_ACCESS_KEY and ALICLOUD_SECRET_KEY set.
set -eu
here=$(dirname "$0")
environment=${CARGO_TARGET_DIR:-target}/peer/oss
if [ ! -x "$environment/bin/python" ]; then
    python3 -m venv "$environment"
    "$environment/bin/pip" install --quiet oss2==2.19.1 alibabacloud-oss-v2==1.4.1
fi
address=${1#*://}
exec "$environment/bin/python" "$here/oss.py" "${address%/}" \
    "$ALICLOUD_ACCESS_KEY" "$ALICLOUD_SECRET_KEY"
