#!/bin/sh
set -eu
cp /srv/files/hello.txt /etc/motd
cat /etc/motd
