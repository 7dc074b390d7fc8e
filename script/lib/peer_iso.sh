# Sourced by script/check-peer: one template installed from an ISO by Packer and
# by this program, and the two disks compared.

# compare_isos PROGRAM DIRECTORY
compare_isos() {
    iso=$(script/iso)
    # One after the other, as emulation takes all there is.
    install_iso packer "$2" run_packer
    install_iso ours "$2" "$1"
    # Salts and the boot loader's own place differ.
    diff -r --no-dereference -x 'shadow*' -x ldlinux.sys "$2/packer.files" "$2/ours.files" ||
        { echo "the installed systems differ" >&2; return 1; }
    for by in packer ours; do
        echo "iso: installed by $by in $(cat "$2/iso.$by.s") s, checked, boots, $(find "$2/$by.files" -type f | wc -l) files"
    done
}

# install_iso BY DIRECTORY COMMAND...: leaves BY.files, iso.BY.s.
install_iso() {
    by=$1 place=$2
    shift 2
    began=$(date +%s%N)
    "$@" build -except=alicloud-import -var "iso_url=$iso" -var "iso_checksum=file:$iso.sha256" \
        -var accelerator=tcg -var "output_directory=$place/$by" \
        examples/iso/golden.json > "$place/iso.$by.log" 2>&1 || { tail -n 40 "$place/iso.$by.log"; return 1; }
    seconds_since "$began" > "$place/iso.$by.s"
    disk=$place/$by/packer-golden
    qemu-img check -q "$disk"
    files "$disk" "$place/$by.files"
    cmp examples/iso/provisioned "$place/$by.files/etc/provisioned"
    [ -z "$(find "$place/$by.files/etc/dropbear" -type f)" ] || { echo "$by left host keys" >&2; return 1; }
    boots "$disk" "$place/$by.serial"
}

# files DISK DIRECTORY: everything in the file system.
files() {
    mkdir "$2"
    qemu-img convert -O raw "$1" "$1.raw"
    debugfs -R "rdump / $2" "$1.raw?offset=1048576" 2> /dev/null
    rm "$1.raw"
}

# boots DISK SERIAL: whether its SSH server starts.
boots() {
    qemu-system-x86_64 -machine pc,accel=tcg -m 512 -display none -snapshot \
        -drive "file=$1,if=virtio,format=qcow2" -nic user,model=virtio-net-pci -serial "file:$2" &
    machine=$! tries=600
    until grep -q "Not backgrounding" "$2" 2> /dev/null; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || { tail -n 20 "$2"; break; }
        sleep 0.2
    done
    kill "$machine"
    wait "$machine" || true
    [ "$tries" -gt 0 ]
}
