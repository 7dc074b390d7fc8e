#!/bin/sh
# cloud-init: `status --wait` returns when the user data has run.
case "$*" in
*--wait*) while [ ! -e /run/cloud-init/finished ]; do /bin/sleep 0.05; done ;;
esac
if [ "$1" = status ]; then
    if [ -e /run/cloud-init/finished ]; then echo "status: done"; else echo "status: running"; fi
fi
exit 0
