# All images of docker-compose.yml: broker (with the plugin), collector, feed, redis. SUITE: bookworm, trixie or forky. script/images builds them:
# VERSION and REVISION go into their labels, and UPDATED is today, as Docker's cache would keep yesterday's packages of Debian.
ARG SUITE=bookworm

FROM debian:${SUITE}-slim AS build
ARG UPDATED
RUN apt-get update && apt-get install -y --no-install-recommends \
        gcc libc6-dev cmake ninja-build pkg-config libmosquitto-dev mosquitto-dev libhiredis-dev libssl-dev libcjson-dev libevent-dev \
        libsodium-dev libsystemd-dev libgnutls28-dev libcurl4-gnutls-dev uthash-dev zlib1g-dev esbuild && rm -rf /var/lib/apt/lists/*
WORKDIR /tally
COPY . .
RUN cmake --preset release && ninja -C build/release tally-broker-plugin tally-collector tally-feed tally
# Libraries' packages have other names in each suite: ask which hold what an image's programs were linked to.
RUN packages() { ldd "$@" | awk '/=> \// { print $3 }' | sort -u | xargs -n 1 realpath | xargs dpkg-query -S 2>/dev/null | cut -d: -f1 | sort -u; } && \
    mkdir packages && cd build/release && \
    packages broker-plugin/tally-broker-plugin.so cli/tally >/tally/packages/broker; \
    packages collector/tally-collector cli/tally >/tally/packages/collector; \
    packages dashboard-feed/tally-feed >/tally/packages/feed; \
    cd /tally/packages && test -s broker && test -s collector && test -s feed

# One user for all, as broker and collector share the spool's files. New named volumes take their owner from these folders.
FROM debian:${SUITE}-slim AS base
ARG UPDATED
RUN apt-get update && apt-get upgrade -y && rm -rf /var/lib/apt/lists/* /var/cache/apt/* && \
    groupadd --system --gid 901 tally && useradd --system --uid 901 --gid 901 --no-create-home --home-dir /nonexistent tally && \
    install -d -o tally -g tally -m 0700 /var/lib/tally /var/lib/tally/spool /var/lib/tally/redis

FROM base AS broker
RUN --mount=from=build,source=/tally/packages,target=/packages apt-get update && \
    apt-get install -y --no-install-recommends mosquitto $(cat /packages/broker) && rm -rf /var/lib/apt/lists/* /var/cache/apt/*
COPY --from=build /tally/build/release/broker-plugin/tally-broker-plugin.so /usr/lib/tally/broker-plugin/
COPY --from=build /tally/build/release/cli/tally /usr/lib/tally/cli/
COPY script/config script/lib.sh /usr/lib/tally/script/
COPY deploy/redis.conf /usr/lib/tally/deploy/
USER tally
CMD ["mosquitto", "-c", "/var/lib/tally/mosquitto.conf"]
ARG VERSION
ARG REVISION
LABEL org.opencontainers.image.title="Tally: broker" org.opencontainers.image.licenses="MIT" \
    org.opencontainers.image.version="${VERSION}" org.opencontainers.image.revision="${REVISION}"

FROM base AS collector
RUN --mount=from=build,source=/tally/packages,target=/packages apt-get update && \
    apt-get install -y --no-install-recommends $(cat /packages/collector) && rm -rf /var/lib/apt/lists/* /var/cache/apt/*
COPY --from=build /tally/build/release/collector/tally-collector /usr/lib/tally/collector/
# The operator's command, where the spool is.
COPY --from=build /tally/build/release/cli/tally /usr/bin/
ENV TALLY_CONFIG=/var/lib/tally/tally.conf
USER tally
ENTRYPOINT ["/usr/lib/tally/collector/tally-collector"]
ARG VERSION
ARG REVISION
LABEL org.opencontainers.image.title="Tally: collector" org.opencontainers.image.licenses="MIT" \
    org.opencontainers.image.version="${VERSION}" org.opencontainers.image.revision="${REVISION}"

FROM base AS feed
RUN --mount=from=build,source=/tally/packages,target=/packages apt-get update && \
    apt-get install -y --no-install-recommends $(cat /packages/feed) && rm -rf /var/lib/apt/lists/* /var/cache/apt/*
COPY --from=build /tally/build/release/dashboard-feed/tally-feed /usr/lib/tally/dashboard-feed/
USER tally
ENTRYPOINT ["/usr/lib/tally/dashboard-feed/tally-feed"]
ARG VERSION
ARG REVISION
LABEL org.opencontainers.image.title="Tally: feed" org.opencontainers.image.licenses="MIT" \
    org.opencontainers.image.version="${VERSION}" org.opencontainers.image.revision="${REVISION}"

FROM base AS redis
RUN apt-get update && apt-get install -y --no-install-recommends redis-server && rm -rf /var/lib/apt/lists/* /var/cache/apt/*
COPY script/redis-start script/lib.sh /usr/lib/tally/script/
USER tally
CMD ["/usr/lib/tally/script/redis-start", "/var/lib/tally/redis.conf"]
ARG VERSION
ARG REVISION
LABEL org.opencontainers.image.title="Tally: Redis" org.opencontainers.image.licenses="MIT" \
    org.opencontainers.image.version="${VERSION}" org.opencontainers.image.revision="${REVISION}"

# Before several edges (deploy/cluster/compose.yaml).
FROM base AS balancer
RUN apt-get update && apt-get install -y --no-install-recommends haproxy && rm -rf /var/lib/apt/lists/* /var/cache/apt/*
USER tally
CMD ["haproxy", "-db", "-f", "/etc/haproxy/haproxy.cfg"]
ARG VERSION
ARG REVISION
LABEL org.opencontainers.image.title="Tally: balancer" org.opencontainers.image.licenses="MIT" \
    org.opencontainers.image.version="${VERSION}" org.opencontainers.image.revision="${REVISION}"
