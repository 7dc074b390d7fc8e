# Sourced by the other scripts: installs missing programs from Debian packages.

# need PROGRAM PACKAGE: makes sure that PROGRAM can be run.
need() {
    PATH="$PATH:/usr/sbin:/sbin"
    command -v "$1" >/dev/null 2>&1 && return 0
    if ! command -v apt-get >/dev/null 2>&1; then
        echo "missing: $1 (Debian package $2); install it and run this again" >&2
        exit 1
    fi
    as_root=""
    [ "$(id -u)" -eq 0 ] || as_root="sudo"
    echo "installing $2 for $1" >&2
    $as_root apt-get update -qq
    # A package whose relatives came from backports only fits from there.
    install_package "$2" || install_package "$2" -t "$(backports)"
}

# install_package PACKAGE [OPTION...]
install_package() {
    package=$1
    shift
    $as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "$@" "$package" >&2
}

# The name of this Debian's backports. apt-get fails, and says so, when its
# sources lack them.
backports() {
    (. /etc/os-release && echo "$VERSION_CODENAME-backports")
}
