# Sourced by the other scripts: installs missing programs from Debian packages.

# need PROGRAM PACKAGE: makes sure that PROGRAM can be run.
need() {
    PATH="$PATH:/usr/sbin:/sbin"
    command -v "$1" >/dev/null 2>&1 || get "$1" "$2"
}

# need_file FILE PACKAGE: makes sure that FILE is there.
need_file() {
    [ -e "$1" ] || get "$1" "$2"
}

# need_rust TARGET: makes sure that there is a Rust for it, or fails.
need_rust() {
    [ -d "$(rustc --print target-libdir --target "$1")" ] || rustup target add "$1" >&2
}

get() {
    if ! command -v apt-get >/dev/null 2>&1; then
        echo "missing: $1 (Debian package $2); install it and run this again" >&2
        exit 1
    fi
    echo "installing $2 for $1" >&2
    as_root apt-get update -qq
    # A package whose relatives came from backports fits only the relatives of
    # this release.
    install_packages "$2" || install_packages --allow-downgrades $(of_this_release "$2")
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

install_packages() {
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "$@" >&2
}

# of_this_release PACKAGE: it and its installed relatives (qemu-utils beside
# qemu-system-x86), each in the version of this Debian release.
of_this_release() {
    release=$(. /etc/os-release && echo "$VERSION_CODENAME")
    installed=$(dpkg-query -W -f='${db:Status-Abbrev} ${Package}\n' "${1%%-*}-*" | sed -n 's/^ii  *//p')
    printf "%s/$release\n" "$1" $installed | sort -u
}
