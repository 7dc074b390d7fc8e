# What process 1 of a guest does: it lives until it is told to stop (TERM),
# to restart (HUP), or until the simulator's end of the pipe is gone, however
# the simulator ended. Its death kills everything inside. Waiting in the shell
# also reaps orphans.
trap 'exit 0' TERM
trap 'exit 64' HUP
echo ready
exec 3<&0 </dev/null >/dev/null 2>&1
while :; do
    cat <&3 &
    # The pipe's end is success; a killed cat (`kill -9 -1`) is replaced.
    wait $! && exit 0
done
