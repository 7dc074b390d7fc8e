#!/bin/sh
# yum, dnf, apt-get and apt without a network: says what the real one would
# say and records the packages, one per line, in /var/lib/sandbox/packages.
name=${0##*/}
verb=
packages=
for word in "$@"; do
    case $word in
    -*) ;;
    *) if [ -z "$verb" ]; then verb=$word; else packages="$packages $word"; fi ;;
    esac
done
record=/var/lib/sandbox/packages
mkdir -p "${record%/*}"
touch "$record"

forget() {
    grep -vxF -e "$1" "$record" >"$record.new"
    mv -f "$record.new" "$record"
}

case $verb in
install | reinstall | localinstall | groupinstall)
    for package in $packages; do
        forget "$package"
        echo "$package" >>"$record"
    done
    case $name in
    apt*)
        echo "Reading package lists... Done"
        echo "Building dependency tree... Done"
        for package in $packages; do echo "Setting up $package ..."; done
        ;;
    *)
        echo "Dependencies resolved."
        echo "Running transaction"
        for package in $packages; do echo "  Installing : $package"; done
        printf '\nInstalled:\n'
        for package in $packages; do echo "  $package"; done
        printf '\nComplete!\n'
        ;;
    esac
    ;;
remove | erase | purge | autoremove)
    for package in $packages; do
        forget "$package"
        echo "Removing $package ..."
    done
    echo "Complete!"
    ;;
list | info)
    cat "$record"
    ;;
makecache) echo "Metadata cache created." ;;
clean) echo "0 files removed" ;;
update | upgrade | dist-upgrade | full-upgrade | check-update)
    case $name in
    apt*) echo "Reading package lists... Done" ;;
    *) printf 'Dependencies resolved.\nNothing to do.\nComplete!\n' ;;
    esac
    ;;
esac
exit 0
