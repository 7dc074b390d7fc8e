# The first process of a guest, from host view to guest view: it stacks the
# disk, builds the device and process file systems, hides the host and then
# gives up every capability that could undo this.
#
# It is started in fresh user, mount, pid, ipc, uts and net namespaces, in the
# guest's directory. Environment: LAYERS (lower directories, topmost first),
# TREES (top-level directories taken from the host), WORK (overlay work
# directory), GUEST_HOSTNAME, CAPABILITIES (for setpriv), SUPERVISE (the script
# that process 1 becomes). It reports `pid N` and, at the end, `ready`.
set -eu
umask 022
# The process file system is still the host's, so this is the host's number.
read -r init_pid _ </proc/self/stat
echo "pid $init_pid"

lower() {
    list=
    for layer in $LAYERS; do list="$list${list:+:}$layer/$1"; done
    echo "$list"
}

# Paths stay relative: they show up in the guest's mount table.
overlay() {
    mount -t overlay overlay -o "userxattr,volatile,lowerdir=$2,upperdir=upper/$1,workdir=$WORK/$1" "$3"
}

overlay root "$(lower root)" merged
for tree in $TREES; do
    # A host directory with mounts beneath it cannot be a lower directory.
    overlay "$tree" "$(lower "$tree"):/$tree" "merged/$tree" ||
        { [ "$tree" != usr ] && overlay "$tree" "$(lower "$tree")" "merged/$tree"; }
done
cd merged

mount -t proc -o nosuid,nodev,noexec proc proc
mount -t tmpfs -o nosuid,mode=755 tmpfs dev
for node in null zero full random urandom tty; do
    : >"dev/$node"
    mount --bind "/dev/$node" "dev/$node"
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts dev/pts || true
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
ln -s /proc/self/fd/0 dev/stdin
ln -s /proc/self/fd/1 dev/stdout
ln -s /proc/self/fd/2 dev/stderr
mount -t tmpfs -o nosuid,nodev,mode=1777 tmpfs dev/shm
mount -t tmpfs -o nosuid,nodev,mode=755 tmpfs run
mkdir -m 1777 run/lock
mkdir run/cloud-init
mount -t tmpfs -o ro,mode=755 tmpfs sys

hostname "$GUEST_HOSTNAME" 2>/dev/null || echo "$GUEST_HOSTNAME" >proc/sys/kernel/hostname || true
ip link set lo up 2>/dev/null || ifconfig lo up 2>/dev/null || true

# A nested user namespace would hand capabilities back.
echo 0 >proc/sys/user/max_user_namespaces
for path in sys bus fs irq sysrq-trigger; do
    [ -e "proc/$path" ] || continue
    mount --bind "proc/$path" "proc/$path"
    mount -o remount,bind,ro "proc/$path"
done
for path in kcore keys kmsg latency_stats sched_debug timer_list; do
    [ -e "proc/$path" ] || continue
    mount --bind /dev/null "proc/$path"
done
for path in acpi asound scsi; do
    [ -d "proc/$path" ] || continue
    mount -t tmpfs -o ro tmpfs "proc/$path"
done

mkdir run/host
pivot_root . run/host
cd /
umount -l /run/host
rmdir /run/host
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    setpriv "--bounding-set=$CAPABILITIES" --inh-caps=-all /bin/sh -c "$SUPERVISE" init
