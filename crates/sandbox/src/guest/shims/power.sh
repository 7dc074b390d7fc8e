#!/bin/sh
# shutdown, poweroff, halt, reboot, init and telinit: asks process 1 to stop
# or restart the machine a moment later, so that the caller sees success.
name=${0##*/}
signal=TERM
delay=0
[ "$name" = reboot ] && signal=HUP
[ "$name" = shutdown ] && delay=60
for word in "$@"; do
    case "$name $word" in
    "shutdown --help" | "shutdown -c" | "shutdown -k") exit 0 ;;
    "shutdown --reboot" | "init 6" | "telinit 6") signal=HUP ;;
    "init 0" | "telinit 0") signal=TERM ;;
    "init "* | "telinit "*) exit 0 ;;
    "shutdown --"*) ;;
    "shutdown -"*r*) signal=HUP ;;
    "shutdown now" | "shutdown +0" | "shutdown 0") delay=0 ;;
    "shutdown +"*) delay=$((${word#+} * 60)) ;;
    esac
done
setsid /bin/sh -c 'sleep "$1"; /bin/sleep 0.2; kill "-$2" 1' power "$delay" "$signal" </dev/null >/dev/null 2>&1 &
exit 0
