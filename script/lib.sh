# Shared by the scripts: the environment and its checks. Sourced by bash; defines functions and variables, starts nothing.
export LC_ALL=C

say() {
    printf '%s\n' "$*"
}

# Prints one line that names the error and the accepted values.
die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

tally_project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P) || exit 1

# What an operator may set, and its defaults.
tally_known='TALLY_MQTT_PORT TALLY_WS_PORT TALLY_HTTP_PORT TALLY_METRICS_PORT TALLY_REDIS_PORT TALLY_DATA TALLY_LIMITS TALLY_TRUSTED_PROXIES TALLY_WEBSOCKET_URL TALLY_TOKEN_KEYS TALLY_REDIS_HOST TALLY_REDIS_URL TALLY_REDIS_PASSWORD_FILE TALLY_REDIS_CA_FILE TALLY_REDIS_CERT_FILE TALLY_REDIS_KEY_FILE TALLY_REDIS_SERVER_NAME TALLY_REDIS_PREFIX TALLY_REDIS_SERVER TALLY_BROKER TALLY_DURABILITY TALLY_BIND TALLY_METRICS_ADDRESS'
# TALLY_BUILD  folder of the build to use; script/server and the system tests then build nothing themselves
# TALLY_HTTP   address of a running feed, such as http://127.0.0.1:8080, for the browser tests
# TALLY_SETTLED_MS  how long a program must run before script/server counts it as started; the tests shorten it
# TALLY_LOG_FORMAT, TALLY_LOG_LEVEL, TALLY_TOPIC_PREFIX  options of [common], which each program checks
tally_known_inner='TALLY_BUILD TALLY_HTTP TALLY_SETTLED_MS TALLY_LOG_FORMAT TALLY_LOG_LEVEL TALLY_TOPIC_PREFIX'
# What script/server and script/config give on the command line, which would override these variables.
tally_overridden='^TALLY_((COLLECTOR|FEED)_(CONFIG|MQTT_HOST|MQTT_PORT|REDIS_HOST|REDIS_PORT|REDIS_URL|HTTP_ADDRESS|HTTP_PORT|WEBSOCKET_PORT|METRICS_ADDRESS|METRICS_PORT)|MOSQUITTO_(BIND_ADDRESS|MQTT_PORT|WEBSOCKET_PORT|PLUGIN|INCLUDE_DIR|OUTPUT))$'

tally_port() { # NAME DEFAULT
    local value=${!1-$2}
    [[ $value =~ ^[1-9][0-9]{0,4}$ ]] && ((value <= 65535)) ||
        die "$1: '$value' is not a port, 1 to 65535 (default $2)"
    printf -v "$1" %s "$value"
}

# Paths go into configuration files, so they must not contain quotes or control characters.
tally_path() { # NAME VALUE
    [[ $2 && $2 != *[[:cntrl:]\"\'\\]* && $2 != *' ' ]] ||
        die "$1: '$2' is not a folder's path without quotes, backslashes, control characters or a space at its end"
    local path=$2
    [[ $path == /* ]] || path=$PWD/$path
    printf -v "$1" %s "$path"
}

# A file that must be there already. Collector and feed check what is in it, and its mode.
tally_redis_file() { # NAME
    local path=${!1-}
    [[ ! $path || ($tally_shared && $path =~ ^/[^[:cntrl:]]+$ && -f $path && -r $path) ]] ||
        die "$1: '$path' is not empty, or (with TALLY_REDIS_HOST or TALLY_REDIS_URL) the absolute path of a file that $(id -un) may read"
    printf -v "$1" %s "$path"
}

# The program to start as Redis: Redis's own, or Valkey's where that alone is installed. Its other tools are beside it and have the same first word.
# -> TALLY_REDIS_SERVER, and redis_check_aof
tally_redis_server() {
    if [[ ! ${TALLY_REDIS_SERVER-} ]]; then
        TALLY_REDIS_SERVER=redis-server
        command -v redis-server >/dev/null || ! command -v valkey-server >/dev/null || TALLY_REDIS_SERVER=valkey-server
    fi
    [[ $TALLY_REDIS_SERVER =~ ^(redis|valkey)-server$ || ($TALLY_REDIS_SERVER =~ ^/[^[:cntrl:]]*-server$ && -x $TALLY_REDIS_SERVER) ]] ||
        die "TALLY_REDIS_SERVER: '$TALLY_REDIS_SERVER' is not empty, redis-server, valkey-server, or the absolute path of such a program"
    redis_check_aof=${TALLY_REDIS_SERVER%-server}-check-aof
}

# The program to start as the broker. One plugin works in Mosquitto 2.0 and 2.1. -> TALLY_BROKER
tally_broker() {
    TALLY_BROKER=${TALLY_BROKER:-mosquitto}
    [[ $TALLY_BROKER == mosquitto || ($TALLY_BROKER =~ ^/[^[:cntrl:]]*$ && -f $TALLY_BROKER && -x $TALLY_BROKER) ]] ||
        die "TALLY_BROKER: '$TALLY_BROKER' is not empty, mosquitto, or the absolute path of such a program"
}

# The value that DATA/tally.conf gives an option in this section: -> value, empty if there is none. `tally mosquitto-conf`, collector and feed check
# the file.
tally_file_value() { # SECTION OPTION
    local line section=
    value=
    [[ -r $TALLY_DATA/tally.conf ]] || return 0
    while IFS= read -r line || [[ $line ]]; do
        if [[ $line =~ ^[[:space:]]*\[(.*)\][[:space:]]*$ ]]; then
            section=${BASH_REMATCH[1]}
        elif [[ $section == "$1" && $line =~ ^[[:space:]]*"$2"[[:space:]]*=[[:space:]]*(.*[^[:space:]]) ]]; then
            value=${BASH_REMATCH[1]}
        fi
    done <"$TALLY_DATA/tally.conf"
}

# What the scripts must know of DATA/tally.conf: ports, addresses, and where Redis is. The environment overrides it.
tally_file() {
    local name option value redis=${TALLY_REDIS_HOST-}${TALLY_REDIS_PORT-} url=${TALLY_REDIS_URL-}
    while read -r name option; do
        [[ ! ${!name-} ]] || continue
        [[ $name != TALLY_REDIS_URL || ! $redis ]] || continue
        [[ $name != TALLY_REDIS_@(HOST|PORT) || ! $url ]] || continue
        tally_file_value "${option%.*}" "${option#*.}"
        [[ ! $value ]] || printf -v "$name" %s "$value"
    done <<'END'
TALLY_MQTT_PORT common.mqtt_port
TALLY_WS_PORT common.websocket_port
TALLY_HTTP_PORT common.http_port
TALLY_METRICS_PORT collector.metrics_port
TALLY_REDIS_HOST common.redis_host
TALLY_REDIS_PORT common.redis_port
TALLY_REDIS_URL common.redis_url
TALLY_BIND mosquitto.bind_address
TALLY_METRICS_ADDRESS collector.metrics_address
END
}

# Where Redis is. With TALLY_REDIS_HOST or TALLY_REDIS_URL it is somebody else's: nothing here starts, configures or checks it.
# -> tally_shared, which is empty otherwise.
tally_redis() {
    local name
    tally_redis_server
    TALLY_REDIS_HOST=${TALLY_REDIS_HOST-}
    [[ $TALLY_REDIS_HOST =~ ^[A-Za-z0-9._:/-]*$ ]] ||
        die "TALLY_REDIS_HOST: '$TALLY_REDIS_HOST' is not empty, or a name, an address, or a socket's path"
    TALLY_REDIS_URL=${TALLY_REDIS_URL-}
    # It is not repeated: somebody may have put a password into it.
    [[ ! $TALLY_REDIS_URL || $TALLY_REDIS_URL =~ ^(rediss?|unix|rediss?\+sentinel)://[^[:space:][:cntrl:]]+$ ]] ||
        die 'TALLY_REDIS_URL: it is not empty, or a redis, rediss, unix or redis+sentinel URL (docs/guides/redis.md)'
    [[ ! $TALLY_REDIS_URL =~ ^[a-z+]+://[^/@]*:[^/@]*@ ]] ||
        die 'TALLY_REDIS_URL: it accepts a user and no password, which is in TALLY_REDIS_PASSWORD_FILE'
    [[ ! $TALLY_REDIS_URL || ! ($TALLY_REDIS_HOST || ${TALLY_REDIS_PORT-}) ]] ||
        die 'TALLY_REDIS_URL: set it, or TALLY_REDIS_HOST and TALLY_REDIS_PORT, but not both'
    tally_shared=$TALLY_REDIS_HOST$TALLY_REDIS_URL
    if [[ $tally_shared ]]; then tally_port TALLY_REDIS_PORT 6379; else tally_port TALLY_REDIS_PORT 6390; fi
    for name in TALLY_REDIS_{PASSWORD,CA,CERT,KEY}_FILE; do
        tally_redis_file "$name"
    done
    TALLY_REDIS_SERVER_NAME=${TALLY_REDIS_SERVER_NAME-}
    [[ $TALLY_REDIS_SERVER_NAME =~ ^[A-Za-z0-9._:-]*$ ]] ||
        die "TALLY_REDIS_SERVER_NAME: '$TALLY_REDIS_SERVER_NAME' is not empty, or a name or address"
    TALLY_REDIS_PREFIX=${TALLY_REDIS_PREFIX-tally:}
    [[ $TALLY_REDIS_PREFIX =~ ^[A-Za-z0-9:._-]{1,32}$ ]] ||
        die "TALLY_REDIS_PREFIX: '$TALLY_REDIS_PREFIX' is not 1 to 32 letters, digits, :, ., _ and - (default tally:)"
    TALLY_DURABILITY=${TALLY_DURABILITY-aof}
    [[ $TALLY_DURABILITY =~ ^(aof|replicas|service)$ ]] ||
        die "TALLY_DURABILITY: '$TALLY_DURABILITY' is not aof, replicas or service (default aof)"
}

# Checks every TALLY_ variable and fills in what DATA/tally.conf says, then the defaults. Variables of one program's options, such as
# TALLY_FEED_HTTP_RATE, are for that program to check.
tally_environment() {
    local name other
    for name in "${!TALLY_@}"; do
        [[ $name != TALLY_CONFIG || ${!name} ]] || continue
        [[ ! ${!name} || ! $name =~ $tally_overridden ]] ||
            die "$name has no effect here: set the variable for all programs, such as TALLY_HTTP_PORT or TALLY_REDIS_URL"
        [[ " $tally_known $tally_known_inner " == *" $name "* || $name =~ ^TALLY_(MOSQUITTO|BROKER|COLLECTOR|FEED)_. ]] ||
            die "unknown environment variable $name; known: ${tally_known// /, }"
    done
    tally_path TALLY_DATA "${TALLY_DATA-$tally_project/data}"
    tally_path TALLY_BUILD "${TALLY_BUILD-$tally_project/build/release}"
    tally_file
    tally_port TALLY_MQTT_PORT 1883
    tally_port TALLY_WS_PORT 9001
    tally_port TALLY_HTTP_PORT 8080
    tally_port TALLY_METRICS_PORT 8081
    tally_redis
    tally_broker
    for name in TALLY_MQTT_PORT TALLY_WS_PORT TALLY_HTTP_PORT TALLY_METRICS_PORT TALLY_REDIS_PORT; do
        for other in TALLY_MQTT_PORT TALLY_WS_PORT TALLY_HTTP_PORT TALLY_METRICS_PORT TALLY_REDIS_PORT; do
            [[ $name == "$other" || ${!name} != "${!other}" || ($tally_shared && $name$other == *TALLY_REDIS_PORT*) ]] ||
                die "$name and $other are both ${!name}: each needs its own port, 1 to 65535"
        done
    done
    TALLY_LIMITS=${TALLY_LIMITS-}
    [[ $TALLY_LIMITS =~ ^(on|off|)$ ]] || die "TALLY_LIMITS: '$TALLY_LIMITS' is not on or off (default on)"
    TALLY_TRUSTED_PROXIES=${TALLY_TRUSTED_PROXIES-}
    [[ $TALLY_TRUSTED_PROXIES =~ ^[0-9A-Fa-f.:/,]*$ ]] ||
        die "TALLY_TRUSTED_PROXIES: '$TALLY_TRUSTED_PROXIES' is not empty, or 1 to 16 addresses or networks (10.0.0.0/8) separated by commas"
    TALLY_WEBSOCKET_URL=${TALLY_WEBSOCKET_URL-}
    [[ ! $TALLY_WEBSOCKET_URL || $TALLY_WEBSOCKET_URL =~ ^wss?://[^[:space:]]+$ ]] ||
        die "TALLY_WEBSOCKET_URL: '$TALLY_WEBSOCKET_URL' is not empty, or a ws:// or wss:// URL"
    TALLY_TOKEN_KEYS=${TALLY_TOKEN_KEYS-}
    [[ ! $TALLY_TOKEN_KEYS || ($TALLY_TOKEN_KEYS =~ ^/[^[:space:]]+$ && -f $TALLY_TOKEN_KEYS && -r $TALLY_TOKEN_KEYS) ]] ||
        die "TALLY_TOKEN_KEYS: '$TALLY_TOKEN_KEYS' is not empty, or the absolute path of a file that $(id -un) may read"
    [[ ${TALLY_SETTLED_MS-1} =~ ^[1-9][0-9]{0,6}$ ]] || die "TALLY_SETTLED_MS: '$TALLY_SETTLED_MS' is not 1 to 9999999"
    TALLY_BIND=${TALLY_BIND-127.0.0.1}
    [[ $TALLY_BIND =~ ^[0-9]{1,3}(\.[0-9]{1,3}){3}$ ]] || die "TALLY_BIND: '$TALLY_BIND' is not an IPv4 address (default 127.0.0.1)"
    TALLY_METRICS_ADDRESS=${TALLY_METRICS_ADDRESS:-127.0.0.1}
    [[ $TALLY_METRICS_ADDRESS =~ ^[0-9]{1,3}(\.[0-9]{1,3}){3}$ ]] ||
        die "TALLY_METRICS_ADDRESS: '$TALLY_METRICS_ADDRESS' is not an IPv4 address (default 127.0.0.1)"
}

# Who should own the data folder: the one who does, or for a new folder the owner of the folder that it will be in. The group is the user's own, as the
# folder's may be root's. -> tally_owner (USER:GROUP, by number)
tally_data_owner() {
    local folder=$TALLY_DATA user group
    while [[ ! -e $folder && $folder == */* ]]; do folder=${folder%/*}; done
    tally_owner=$(stat -L -c %u:%g -- "${folder:-/}") || tally_data_refuse
    user=${tally_owner%:*}
    group=$(id -g -- "$user" 2>/dev/null) || group=${tally_owner#*:}
    ((user == 0 || group != 0)) || group=65534
    tally_owner=$user:$group
}

# The owner of the project builds on what root has built.
tally_give_build() {
    [[ ! -d $tally_project/build ]] || chown -RP --no-dereference --reference="$tally_project" -- "$tally_project/build" ||
        die "$tally_project/build cannot be given to the owner of $tally_project"
}

# The way to run a command as that user, and never as root again: -> tally_as
tally_as_owner() {
    local groups=--init-groups
    getent passwd "${tally_owner%:*}" >/dev/null || groups=--clear-groups
    tally_as=(setpriv --reuid "${tally_owner%:*}" --regid "${tally_owner#*:}" "$groups" --inh-caps=-all --no-new-privs --)
}

# Makes the data folder, or prints the reason why it cannot be used. For root, permission bits prove nothing, so it tries a write.
tally_data_folder() {
    local folders=("$TALLY_DATA" "$TALLY_DATA"/{spool,redis,run,log,mosquitto.d}) probes=() folder
    mkdir -p -m 0700 -- "${folders[@]}" 2>/dev/null || tally_data_refuse
    for folder in "${folders[@]}"; do
        probes+=("$folder/.probe.$$")
        { : >"$folder/.probe.$$"; } 2>/dev/null || tally_data_refuse
    done
    rm -f -- "${probes[@]}"
}

tally_data_refuse() {
    die "TALLY_DATA: the folder $TALLY_DATA cannot be written; it accepts a local folder that this user may write (default $tally_project/data)"
}

# Builds a preset's targets (all, if none is named) in build/PRESET; one builder at a time. Ends in exec, so that a signal
# reaches ninja. Call it in a separate process.
tally_build() { # PRESET [TARGET...]
    local folder=$tally_project/build/$1 lock
    mkdir -p "$folder" && exec {lock}>"$folder/.lock" && flock "$lock" || return 1
    [[ -e $folder/build.ninja ]] || setpriv --pdeathsig KILL -- cmake -S "$tally_project" --preset "$1" || return 1
    exec ninja -C "$folder" "${@:2}"
}
