#!/bin/sh
# systemctl and service without a service manager: records what was asked in
# /var/lib/sandbox/services and answers as if it had worked.
name=${0##*/}
verb=
units=
quiet=
for word in "$@"; do
    case $word in
    -q | --quiet) quiet=1 ;;
    -*) ;;
    *) if [ -z "$verb" ]; then verb=$word; else units="$units $word"; fi ;;
    esac
done
if [ "$name" = service ]; then
    unit=$verb
    verb=${units# }
    units=" $unit"
fi
say() { [ -n "$quiet" ] || echo "$1"; }

case $verb in
poweroff | halt) exec poweroff ;;
reboot) exec reboot ;;
is-active) say active ;;
is-enabled) say enabled ;;
is-system-running) say running ;;
status) for unit in $units; do say "$unit - active (running)"; done ;;
show | cat | list-units | list-unit-files | daemon-reload | "") ;;
*)
    mkdir -p /var/lib/sandbox
    for unit in $units; do echo "$verb $unit" >>/var/lib/sandbox/services; done
    ;;
esac
exit 0
