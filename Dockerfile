# The image of apm: `docker build -t registry.example.org/apm:0.1.0 .` It runs as nobody's user, needs no file but those of its data folder, and starts
# with `up`. Docker asks it nothing: Kubernetes has its own probes (assets/charts/apm), and `apm collect` and the webhook share the image.

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked --package app-cli

# With chown: an init container of the chart gives a folder to its user.

# apm ignore=AD0704 reason="Kubernetes asks by its own probes, and the collector and the webhook, which share the image, answer at other ports"
# apm ignore=AD0103 reason="whoever builds it chooses when to take a newer base"
FROM debian:bookworm-slim
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /src/target/release/apm /usr/local/bin/apm
ENV HOME=/var/lib/apm
WORKDIR /var/lib/apm
RUN chown 65532:65532 /var/lib/apm
USER 65532:65532
EXPOSE 4300 4317 4318
ENTRYPOINT ["apm"]
CMD ["up"]
