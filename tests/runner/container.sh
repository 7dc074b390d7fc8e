# The first process of a container, from the host's view to the image's view.
# It is started in fresh user, mount and pid namespaces by bash, because other
# shells drop variables with hyphens. Arguments: an empty directory, the
# image's root file system, the working directory, pairs of host directory and
# mount point, `--`, and the program with its arguments.
set -eu
path=$PATH
PATH=/usr/sbin:/usr/bin:/sbin:/bin
root=$1 rootfs=$2 directory=$3
shift 3

mount -t tmpfs -o mode=755 tmpfs "$root"
for entry in "$rootfs"/*; do
    name=${entry##*/}
    case $name in proc | dev | sys | tmp | github) continue ;; esac
    if [ -L "$entry" ]; then
        cp -P "$entry" "$root/$name"
    elif [ -d "$entry" ]; then
        mkdir "$root/$name"
        mount --rbind "$entry" "$root/$name"
    fi
done
mkdir "$root/proc" "$root/dev" "$root/sys" "$root/old"
mkdir -m 1777 "$root/tmp"
mount -t proc proc "$root/proc"
mount -t tmpfs tmpfs "$root/dev"
for node in null zero full random urandom tty; do
    : >"$root/dev/$node"
    mount --bind "/dev/$node" "$root/dev/$node"
done
ln -s /proc/self/fd "$root/dev/fd"
while [ "$1" != -- ]; do
    mkdir -p "$root$2"
    mount --bind "$1" "$root$2"
    shift 2
done
shift

# Nothing of the host is left to run but what is open.
exec 9<"$BUSYBOX"
unset BUSYBOX
cd "$root"
pivot_root . old
cd /
(exec -a busybox /proc/self/fd/9 umount -l /old)
(exec -a busybox /proc/self/fd/9 rmdir /old)
exec 9<&-
cd "$directory"
PATH=$path
unset PWD OLDPWD SHLVL _
exec "$@"
