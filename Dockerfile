FROM rust:1.95-slim-trixie AS build
WORKDIR /source
COPY Cargo.toml Cargo.lock ./
COPY crates crates
COPY src src
RUN cargo build --locked --release --bin alicloud-image

FROM debian:trixie-slim
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates \
 && rm -rf /var/lib/apt/lists/*
COPY --from=build /source/target/release/alicloud-image /usr/local/bin/alicloud-image
# One program under three names: the action's entry points take no arguments.
RUN ln /usr/local/bin/alicloud-image /usr/local/bin/alicloud-image-action \
 && ln /usr/local/bin/alicloud-image /usr/local/bin/alicloud-image-post
# GitHub mounts the workspace for root and sets the working directory: neither
# USER nor WORKDIR may be set here. The program handles signals as process 1.
ENTRYPOINT ["/usr/local/bin/alicloud-image"]
