# Sourced by script/bench: sending a disk to the sandbox's OSS, by this program
# and by its peer, `qemu-img convert -O qcow2 -c` and then oss2's resumable
# upload with four threads. Both read the same uncompressed qcow2.

# Packages that make a root file system of about 1 GB.
packages=linux-image-amd64,build-essential,python3,git,vim,openssh-server,curl,perl,man-db,locales,golang-src

# Where the partition begins.
offset=1048576

# prepare_disks: makes clean.qcow2 and deleted.qcow2 in $disks, once.
prepare_disks() {
    disks=$(readlink -f "${CARGO_TARGET_DIR:-target}")/bench
    mkdir -p "$disks"
    [ -f "$disks/deleted.qcow2" ] && return 0
    make_root
    rm -f "$disks/disk.raw"
    truncate -s 20G "$disks/disk.raw"
    echo 'start=2048, type=83, bootable' | sfdisk -q "$disks/disk.raw"
    mke2fs -q -t ext4 -E "offset=$offset" -d "$disks/root" "$disks/disk.raw" \
        $(((20 * 1024 * 1024 * 1024 - offset) / 4096))
    qemu-img convert -O qcow2 "$disks/disk.raw" "$disks/clean.qcow2"
    write_and_delete
    qemu-img convert -O qcow2 "$disks/disk.raw" "$disks/deleted.part"
    rm "$disks/disk.raw"
    mv "$disks/deleted.part" "$disks/deleted.qcow2"
}

# make_root: a root file system in $disks/root, by debootstrap from the mirror
# that apt uses; without it, a part of this machine's own.
make_root() {
    [ -f "$disks/root.complete" ] && return 0
    rm -rf --one-file-system "$disks/root"
    need debootstrap debootstrap
    need openssl openssl
    release=$(. /etc/os-release && echo "$VERSION_CODENAME")
    mirror=$(apt-get indextargets --format '$(SITE)' "Codename: $release" | head -n 1)
    if ! debootstrap --include="$packages" "$release" "$disks/root" "$mirror" > "$disks/debootstrap.log" 2>&1; then
        echo "debootstrap failed ($disks/debootstrap.log): taking a part of this machine's /usr instead" >&2
        unmount_root
        rm -rf --one-file-system "$disks/root"
        mkdir -p "$disks/root/usr"
        for part in bin sbin lib share include; do
            [ "$(du -sm "$disks/root" | cut -f 1)" -gt 1000 ] || cp -a "/usr/$part" "$disks/root/usr/"
        done
    fi
    unmount_root
    for left_out in var/cache/apt/archives proc sys dev; do
        rm -rf --one-file-system "$disks/root/$left_out"
    done
    touch "$disks/root.complete"
}

# unmount_root: what debootstrap mounted, when it could not unmount it.
unmount_root() {
    for place in proc sys dev/pts dev; do
        umount "$disks/root/$place" 2> /dev/null || true
    done
}

# write_and_delete: about 1 GB without mounting anything: 300 MiB that do not
# compress, as the cache of a package manager, and files like those there are.
write_and_delete() {
    # The tree twice, in case that once is less.
    {
        openssl enc -aes-128-ctr -pass pass:bench -nosalt -pbkdf2 < /dev/zero 2> /dev/null | head -c 300M
        { tar -C "$disks/root" -c usr && tar -C "$disks/root" -c usr; } | head -c 724M
    } | split -b 64M - "$disks/garbage."
    for piece in "$disks"/garbage.*; do echo "write $piece ${piece##*/}"; done > "$disks/commands"
    debugfs -w -f "$disks/commands" "$disks/disk.raw?offset=$offset" > "$disks/debugfs.log" 2>&1
    sed 's/^write [^ ]* /rm /' "$disks/commands" > "$disks/rm"
    debugfs -w -f "$disks/rm" "$disks/disk.raw?offset=$offset" >> "$disks/debugfs.log" 2>&1
    rm "$disks"/garbage.*
    e2fsck -fn "$disks/disk.raw?offset=$offset" > /dev/null 2>&1
}

# measured FILE COMMAND...: wall, user, system seconds, peak KiB, and blocks of
# 512 bytes written to file systems.
measured() {
    file=$1
    shift
    env time -a -f '%e %U %S %M %O' -o "$file" "$@" > "$file.log" 2>&1 ||
        { tail -n 40 "$file.log"; return 1; }
}

# peer_disk DISK PAIR
peer_disk() {
    rm -f "$work/peer.qcow2"
    measured "$work/$1.peer.$2" qemu-img convert -O qcow2 -c "$disks/$1.qcow2" "$work/peer.qcow2"
    measured "$work/$1.peer.$2" $oss_client put "$work/peer.qcow2" "peer-$1.qcow2"
    stat -c %s "$work/peer.qcow2" > "$work/$1.peer.$2.sent"
    rm "$work/peer.qcow2"
}

# our_disk DISK PAIR OPTION...
our_disk() {
    disk=$1 pair=$2
    shift 2
    $oss_client delete "$disk.qcow2"
    measured "$work/$disk.ours.$pair" "$program" import "$disks/$disk.qcow2" \
        --region=cn-hangzhou --image-name="bench-$disk" --oss-bucket-name=bench \
        --oss-key-name="$disk.qcow2" --skip-clean --force "$@"
    sed -n 's/.*Uploaded \([0-9]*\) bytes.*/\1/p' "$work/$disk.ours.$pair.log" > "$work/$disk.ours.$pair.sent"
}

# verify_disk DISK: what arrived is whole, and holds every file.
verify_disk() {
    $oss_client get "$1.qcow2" "$work/result.qcow2"
    qemu-img check -q "$work/result.qcow2"
    qemu-img convert -O raw "$work/result.qcow2" "$work/result.raw"
    e2fsck -fn "$work/result.raw?offset=$offset" > "$work/fsck.log" 2>&1 || { cat "$work/fsck.log"; return 1; }
    mkdir "$work/files"
    debugfs -R "rdump / $work/files" "$work/result.raw?offset=$offset" > /dev/null 2>&1
    rmdir "$work/files/lost+found"
    diff -r --no-dereference "$disks/root" "$work/files"
    rm -rf "$work/files" "$work/result.raw" "$work/result.qcow2"
    echo "$1: qemu-img check and e2fsck clean, every file identical"
}

# verify_kept: without dropping, the disks are identical.
verify_kept() {
    our_disk clean kept --option=keep_free_blocks=true
    $oss_client get clean.qcow2 "$work/result.qcow2"
    qemu-img check -q "$work/result.qcow2"
    qemu-img compare -q "$disks/clean.qcow2" "$work/result.qcow2"
    rm "$work/result.qcow2"
    echo "clean, free blocks kept: qemu-img check clean, compare identical"
}

# large_disk: memory for a disk of 2 TiB with a little all over it.
large_disk() {
    large=$disks/large.raw
    rm -f "$large"
    truncate -s 2T "$large"
    # Type and boot flag of an MBR's first entry; the table itself ends at 2 TiB.
    printf '\200\0\0\0\203\0\0\0\0\010\0\0\377\377\377\177' |
        dd of="$large" bs=1 seek=446 conv=notrunc status=none
    printf '\125\252' | dd of="$large" bs=1 seek=510 conv=notrunc status=none
    for place in $(seq 1 31); do
        dd if=/dev/urandom of="$large" bs=1M count=8 seek=$((place * 65536)) conv=notrunc status=none
    done
    measured "$work/large" "$program" import "$large" --region=cn-hangzhou \
        --image-name=bench-large --oss-bucket-name=bench --force
    read -r _ _ _ kib _ < "$work/large"
    echo "2 TiB: $((kib / 1024)) MiB peak RSS"
    rm "$large"
}

bench_disk() {
    need qemu-img qemu-utils
    need debugfs e2fsprogs
    need sfdisk fdisk
    need time time
    build
    prepare_disks
    export ALICLOUD_IMAGE_TIME_SCALE=0.001
    start_sandbox "$program" --time-scale $ALICLOUD_IMAGE_TIME_SCALE --delays none
    oss_client="sh script/lib/bench_oss.sh $sandbox_url"
    $oss_client bucket
    for pair in $(seq "$1"); do
        for disk in clean deleted; do
            peer_disk $disk "$pair"
            our_disk $disk "$pair"
        done
    done
    python3 script/lib/bench_disk.py "$work" "$1"
    verify_disk clean
    verify_disk deleted
    verify_kept
    large_disk
}
