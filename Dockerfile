# All images of docker-compose.yml: broker (with the plugin), collector, feed, redis. SUITE: bookworm, trixie or forky. script/images builds them with
# VERSION and REVISION for their labels, and with today's date as UPDATED: another value, and Debian's updates are fetched again.
ARG SUITE=bookworm
ARG UPDATED=

FROM debian:${SUITE}-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends \
        gcc libc6-dev cmake ninja-build pkg-config libmosquitto-dev mosquitto-dev libhiredis-dev libssl-dev libcjson-dev libevent-dev \
        libsodium-dev libsystemd-dev libgnutls28-dev libcurl4-gnutls-dev uthash-dev zlib1g-dev esbuild && rm -rf /var/lib/apt/lists/*
WORKDIR /tally
COPY . .
RUN cmake --preset release && ninja -C build/release tally-broker-plugin tally-collector tally-feed tally
# Libraries' packages have other names in each suite: ask which hold what the programs were linked to.
RUN ldd build/release/*/tally-broker-plugin.so build/release/*/tally-collector build/release/*/tally-feed build/release/cli/tally | \
        awk '/=> \// { print $3 }' | sort -u | xargs -n 1 realpath | xargs dpkg-query -S 2>/dev/null | cut -d: -f1 | sort -u >packages; \
    test -s packages

# One user for all, as broker and collector share the spool's files. New named volumes take their owner from these folders.
FROM debian:${SUITE}-slim AS base
COPY --from=build /tally/packages /tmp/packages
RUN apt-get update && xargs apt-get install -y --no-install-recommends </tmp/packages && rm -rf /var/lib/apt/lists/* /tmp/packages && \
    groupadd --system --gid 901 tally && useradd --system --uid 901 --gid 901 --no-create-home --home-dir /nonexistent tally && \
    install -d -o tally -g tally -m 0700 /var/lib/tally /var/lib/tally/spool /var/lib/tally/redis

FROM base AS broker
RUN apt-get update && apt-get install -y --no-install-recommends mosquitto && rm -rf /var/lib/apt/lists/*
COPY --from=build /tally/build/release/broker-plugin/tally-broker-plugin.so /usr/lib/tally/broker-plugin/
COPY script/config script/lib.sh /usr/lib/tally/script/
USER tally
CMD ["mosquitto", "-c", "/var/lib/tally/mosquitto.conf"]

FROM base AS collector
COPY --from=build /tally/build/release/collector/tally-collector /usr/lib/tally/collector/
# The operator's command, where the spool is.
COPY --from=build /tally/build/release/cli/tally /usr/bin/
USER tally
ENTRYPOINT ["/usr/lib/tally/collector/tally-collector"]

FROM base AS feed
COPY --from=build /tally/build/release/dashboard-feed/tally-feed /usr/lib/tally/dashboard-feed/
USER tally
ENTRYPOINT ["/usr/lib/tally/dashboard-feed/tally-feed"]

FROM base AS redis
RUN apt-get update && apt-get install -y --no-install-recommends redis-server && rm -rf /var/lib/apt/lists/*
COPY script/redis-start script/lib.sh /usr/lib/tally/script/
USER tally
CMD ["/usr/lib/tally/script/redis-start", "/var/lib/tally/redis.conf"]

# Before several edges (deploy/cluster/compose.yaml).
FROM debian:${SUITE}-slim AS balancer
RUN apt-get update && apt-get install -y --no-install-recommends haproxy && rm -rf /var/lib/apt/lists/* && \
    groupadd --system --gid 901 tally && useradd --system --uid 901 --gid 901 --no-create-home --home-dir /nonexistent tally
USER tally
CMD ["haproxy", "-db", "-f", "/etc/haproxy/haproxy.cfg"]
