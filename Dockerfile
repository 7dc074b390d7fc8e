# The images: `slim`, which comes last and so is what `docker build .` makes,
# for ECS builds and imports, and `qemu`, which can also install from an ISO.
#
# GitHub runs them as root, with a working directory of its own, mounted: so
# neither USER nor WORKDIR may be set in them. The program is process 1: it
# takes the signals and reaps what others leave behind (src/init.rs).
#
# Where the digests are from: docs/releases.md. They are of indexes with both
# architectures. script/image puts others in their place, which is what the
# arguments are for; Dependabot sees only images that FROM names.
ARG RUST=rust
ARG DEBIAN=debian
FROM docker.io/library/rust:1.95-slim-trixie@sha256:ee4fa026a11f9e8b1b00568364a880dc720409bb94b0e6800f63f974f9c909d5 AS rust
FROM docker.io/library/debian:trixie-slim@sha256:d7e12182ce18b85b93007c1dedf31f2d29e01ccf3182cc4017c709b6259bc132 AS debian

FROM ${RUST} AS build
# `gnu` links glibc statically, where there is no Rust for musl.
ARG LIBC=musl
ARG PROFILE=release
RUN apt-get update \
 && apt-get install --yes --no-install-recommends \
        busybox-static ca-certificates gcc libc6-dev $([ "$LIBC" != musl ] || echo musl-tools)
# Neither image is built here, so this directory is in none.
WORKDIR /source
COPY Cargo.toml Cargo.lock ./
COPY crates crates
COPY src src
RUN set -eu; target="$(uname -m)-unknown-linux-$LIBC"; \
    rustc --print target-libdir --target "$target" | xargs test -d || rustup target add "$target"; \
    RUSTFLAGS='-C target-feature=+crt-static' \
        cargo build --locked --profile "$PROFILE" --target "$target" --bin alicloud-image; \
    mkdir -p /image/usr/local/bin; \
    cp "target/$target/$PROFILE/alicloud-image" /image/usr/local/bin/
# One program under three names, because the entry points of an action take no
# arguments. Links by name: a hard link that a copy to another layer does not
# keep would triple the image.
RUN set -eu; cd /image; \
    ln -s alicloud-image usr/local/bin/alicloud-image-action; \
    ln -s alicloud-image usr/local/bin/alicloud-image-post; \
    install -D /bin/busybox bin/busybox; \
    for applet in $(bin/busybox --list); do [ "$applet" = busybox ] || ln -s busybox "bin/$applet"; done; \
    mkdir usr/bin; ln -s ../../bin/busybox usr/bin/env; \
    install -D -m 644 /etc/ssl/certs/ca-certificates.crt etc/ssl/certs/ca-certificates.crt; \
    install -D -m 644 /usr/share/doc/busybox-static/copyright usr/share/doc/busybox-static/copyright; \
    echo 'root:x:0:0:root:/root:/bin/sh' > etc/passwd; \
    echo 'root:x:0:' > etc/group; \
    echo 'hosts: files dns' > etc/nsswitch.conf; \
    install -d -m 700 root; install -d -m 1777 tmp var/tmp

# The program alone: `docker build --target program --output DIRECTORY .`
FROM scratch AS program
COPY --from=build /image/usr/local/bin/alicloud-image /

FROM ${DEBIAN} AS qemu
RUN apt-get update \
 && apt-get install --yes --no-install-recommends \
        ca-certificates ovmf qemu-system-x86 qemu-utils swtpm xorriso \
        $([ "$(uname -m)" != aarch64 ] || echo qemu-efi-aarch64 qemu-system-arm) \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt /var/log/apt /var/log/dpkg.log
COPY --from=build /image/usr/local/bin/ /usr/local/bin/
LABEL org.opencontainers.image.title="alicloud-image with QEMU" \
      org.opencontainers.image.source="https://github.com/alicloud-image/alicloud-image" \
      org.opencontainers.image.licenses="Apache-2.0"
ENTRYPOINT ["/usr/local/bin/alicloud-image"]

FROM scratch AS slim
COPY --from=build /image/ /
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
LABEL org.opencontainers.image.title="alicloud-image" \
      org.opencontainers.image.source="https://github.com/alicloud-image/alicloud-image" \
      org.opencontainers.image.licenses="Apache-2.0"
ENTRYPOINT ["/usr/local/bin/alicloud-image"]
