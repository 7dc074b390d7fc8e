#!/bin/sh
# Installs the program of the release that this file belongs to, for
# setup/action.yml. Everything comes by environment variables; nothing of it
# is ever evaluated.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)

fail() {
    echo "::error title=alicloud-image/setup::$*"
    exit 1
}

flag() {
    case $2 in
    true | false) ;;
    *) fail "Bad value of input \`$1\`: use exactly \`true\` or \`false\`" ;;
    esac
}

find_architecture() {
    [ "${RUNNER_OS:-}" = Linux ] || fail "There is no program for ${RUNNER_OS:-this system}, only for Linux"
    case ${RUNNER_ARCH:-} in
    X64) architecture=x86_64 ;;
    ARM64) architecture=aarch64 ;;
    *) fail "There is no program for the architecture ${RUNNER_ARCH:-of this machine}, only for X64 and ARM64" ;;
    esac
}

version_of_release() {
    sed -n 's/^version = "\(.*\)"$/\1/p' "$here/../Cargo.toml" | head -n 1
}

# The checksums are in the commit of the release: whoever pins the action by
# commit has pinned the program.
checksum_of() {
    [ ! -f "$here/checksums.txt" ] || awk -v name="$1" '$2 == name { print $1 }' "$here/checksums.txt"
}

download() {
    curl --fail --silent --show-error --location --retry 3 --connect-timeout 20 \
        --proto '=https,http' --output "$2" -- "$1" ||
        fail "Could not download $1; is this machine offline? Name a mirror with the input \`base-url\`"
}

check() {
    actual=$(sha256sum < "$1" | cut -d ' ' -f 1)
    [ "$actual" = "$2" ] || {
        rm -f -- "$1"
        fail "The file from $3 is not the one of this release: its SHA-256 is $actual instead of $2"
    }
}

attestation() {
    command -v gh > /dev/null || fail "\`verify-attestation\` needs GitHub's program \`gh\`, which is not here"
    gh attestation verify "$1" --repo "$repository" ||
        fail "The program has no valid attestation of $repository"
}

install() {
    name=alicloud-image-$architecture-linux
    version=$(version_of_release)
    expected=$(checksum_of "$name")
    [ -n "$expected" ] ||
        fail "This is no release: setup/checksums.txt has no $name. Use a tag (vX.Y.Z), or the commit of one"
    url=${SETUP_BASE_URL:-https://github.com/$repository/releases/download/v$version}
    url=${url%/}/$name
    directory=$RUNNER_TEMP/alicloud-image-$version
    mkdir -p -- "$directory"
    download "$url" "$directory/$name"
    check "$directory/$name" "$expected" "$url"
    [ "$verify" = false ] || attestation "$directory/$name"
    chmod 0755 -- "$directory/$name"
    mv -- "$directory/$name" "$directory/alicloud-image"
    echo "$directory" >> "$GITHUB_PATH"
    printf 'version=%s\npath=%s\n' "$version" "$directory/alicloud-image" >> "$GITHUB_OUTPUT"
    echo "alicloud-image $version is in $directory"
}

# Runners have /dev/kvm for root only. Installing packages restarts udev, which
# undoes the permissions: so they come last, and the device is really opened.
kvm() {
    command -v apt-get > /dev/null || fail "\`kvm: true\` needs a runner with apt-get"
    sudo apt-get update --quiet
    sudo apt-get install --quiet --yes --no-install-recommends \
        "$(qemu_package)" qemu-utils ovmf swtpm xorriso
    if [ ! -e "$device" ]; then
        echo "::warning title=alicloud-image/setup::This runner has no $device: \`qemu\` builds are emulated, and many times slower"
        return
    fi
    echo 'KERNEL=="kvm", GROUP="kvm", MODE="0666", OPTIONS+="static_node=kvm"' |
        sudo tee /etc/udev/rules.d/99-alicloud-image-kvm.rules > /dev/null
    sudo udevadm control --reload-rules
    sudo udevadm trigger --name-match=kvm --settle
    (: <> "$device") 2> /dev/null || fail "$device cannot be opened, though every user may"
}

qemu_package() {
    case $architecture in
    aarch64) echo qemu-system-arm ;;
    *) echo qemu-system-x86 ;;
    esac
}

kvm=${SETUP_KVM:-false}
verify=${SETUP_VERIFY_ATTESTATION:-false}
repository=${SETUP_REPOSITORY:-alicloud-image/alicloud-image}
device=/dev/kvm
flag kvm "$kvm"
flag verify-attestation "$verify"
find_architecture
install
[ "$kvm" = false ] || kvm
