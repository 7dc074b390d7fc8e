#!/bin/sh
# sudo for a guest whose only user is root: runs the command as it is.
while [ $# -gt 0 ]; do
    case $1 in
    --) shift; break ;;
    -u | -g | -U | -h | -p | -C | -r | -t | --user | --group) shift 2 ;;
    -i | -s) shell=1; shift ;;
    -v | -k | -K | -l | --version) exit 0 ;;
    -*) shift ;;
    *=*) export "$1"; shift ;;
    *) break ;;
    esac
done
if [ -n "${shell:-}" ]; then
    [ $# -eq 0 ] && exec /bin/sh -l
    exec /bin/sh -lc "$*"
fi
[ $# -eq 0 ] && exit 0
exec "$@"
