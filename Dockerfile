# brandpost in a container: not root, state in a volume.
#
#   docker build -t brandpost .
#   docker run -d --name brandpost --restart unless-stopped --stop-timeout 30 \
#     --read-only --cap-drop ALL --security-opt no-new-privileges --tmpfs /tmp \
#     -v ./config.toml:/etc/brandpost/config.toml:ro -v ./app_secret:/run/secrets/app_secret:ro \
#     -v brandpost:/var/lib/brandpost -v /srv/brandpost/inbox:/srv/brandpost/inbox:ro brandpost
#
# 10001 must be able to read config.toml, app_secret and the inbox: `setfacl -R -m u:10001:rX -d -m u:10001:rX inbox`.
# app_secret must be closed to all other users: `chown 10001 app_secret; chmod 400 app_secret`.
# With upload.after = "archive" or "delete" mount /srv/brandpost as a whole, without :ro.
# The inotify limits are the host's (systemd/brandpost.sysctl).

FROM rust:1-slim-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --release --locked && install -D -t /out target/release/brandpost target/release/brandpost-sandbox

FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates tzdata \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 brandpost \
    && useradd --uid 10001 --gid brandpost --no-create-home --home-dir /var/lib/brandpost --shell /usr/sbin/nologin brandpost \
    && install -d -m 750 -o brandpost -g brandpost /var/lib/brandpost /srv/brandpost/inbox /srv/brandpost/archive
COPY --from=build /out/ /usr/bin/
COPY --chmod=644 packaging/config.toml /etc/brandpost/config.toml
USER 10001:10001
WORKDIR /var/lib/brandpost
VOLUME /var/lib/brandpost
# wins over the configuration file
ENV BRANDPOST_GATEWAY__APP_SECRET_FILE=/run/secrets/app_secret
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/bin/brandpost"]
CMD ["run", "--config", "/etc/brandpost/config.toml"]
