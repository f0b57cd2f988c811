# shellcheck shell=bash
# A throw-away machine whose first process is a real systemd: a minimal Debian of this machine's release, booted by
# systemd-nspawn with no network but loopback. To be sourced; needs root and apt.
#
#   host_up              make the image (once), boot a fresh copy of it
#   host CMD...          run a command inside, as root
#   host_put FILE PATH   copy a file in
#   host_reboot          power off in good order and boot again
#   host_down            power off and forget the copy
#
# HOST_DIR holds the image and the copy. What is not real inside: limits of memory and CPU where the kernel's
# controllers are still in cgroup v1, and sysctls, which belong to the machine outside.

HOST_DIR=$(realpath -m "${HOST_DIR:-/var/tmp/brandpost-systemd}")
HOST_NAME=brandpost-test
HOST_PACKAGES=systemd,systemd-sysv,dbus,procps,ca-certificates,tzdata,sqlite3,acl,iproute2
HOST_CGROUP=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)/$HOST_NAME

host_fail() {
    echo "host: $*" >&2
    exit 125
}

host_image() {
    [ "$(cat "$HOST_DIR/image.made" 2>/dev/null)" != "$HOST_PACKAGES" ] || return 0
    local tool release mirror
    for tool in systemd-nspawn debootstrap; do
        command -v $tool >/dev/null && continue
        apt-get update -q >&2
        apt-get install -y -q --no-install-recommends systemd-container debootstrap >&2 ||
            host_fail "systemd-container and debootstrap cannot be installed"
        break
    done
    # shellcheck source=/dev/null
    release=$(. /etc/os-release && echo "$VERSION_CODENAME")
    # shellcheck disable=SC2016 # expanded by apt-get
    mirror=$(apt-get indextargets --format '$(CODENAME) $(REPO_URI)' 'Created-By: Packages' |
        awk -v release="$release" '$1 == release { print $2; exit }')
    rm -rf "$HOST_DIR/image" "$HOST_DIR/image.made"
    mkdir -p "$HOST_DIR"
    debootstrap --variant=minbase --include="$HOST_PACKAGES" "$release" "$HOST_DIR/image" "$mirror" \
        >"$HOST_DIR/image.log" 2>&1 </dev/null || host_fail "debootstrap failed: $HOST_DIR/image.log"
    echo $HOST_NAME >"$HOST_DIR/image/etc/hostname"
    printf '127.0.0.1 localhost %s\n::1 localhost\n' $HOST_NAME >"$HOST_DIR/image/etc/hosts"
    : >"$HOST_DIR/image/etc/machine-id"
    # the journal outlives a reboot
    mkdir -p "$HOST_DIR/image/var/log/journal"
    echo "$HOST_PACKAGES" >"$HOST_DIR/image.made"
}

# The pid of our systemd-nspawn, if it runs.
host_nspawn() {
    local pid
    pid=$(cat "$HOST_DIR/pid" 2>/dev/null) || return 1
    tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -q -- "--directory=$HOST_DIR/copy " && echo "$pid"
}

# The pid, seen from here, of the systemd inside.
host_init() {
    local pid child
    pid=$(host_nspawn) || return 1
    # shellcheck disable=SC2013 # words are wanted
    for child in $(cat /proc/"$pid"/task/*/children 2>/dev/null); do
        if [ "$(cat "/proc/$child/comm" 2>/dev/null)" = systemd ]; then
            echo "$child"
            return 0
        fi
    done
    return 1
}

host() {
    local init
    init=$(host_init) || host_fail "is not running"
    nsenter --target "$init" --mount --uts --ipc --net --pid --cgroup -- env -i HOME=/root LANG=C.UTF-8 \
        TERM=dumb DEBIAN_FRONTEND=noninteractive PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"
}

host_put() {
    # shellcheck disable=SC2016 # expanded inside
    host sh -c 'mkdir -p "$(dirname "$1")" && cat >"$1"' - "$2" <"$1"
}

host_boot() {
    mkdir -p "$HOST_CGROUP"
    rm -f "$HOST_DIR/pid"
    # A cgroup of its own, cgroup v2 inside. The capabilities are ones that a real first process has; systemd makes
    # DevicePolicy= of bpf. nspawn's own list of system calls steps aside for the unit's.
    # shellcheck disable=SC2016 # expanded in the child
    setsid bash -c 'echo $$ >"$1/cgroup.procs" && echo $$ >"$2" && shift 2 && exec "$@"' - \
        "$HOST_CGROUP" "$HOST_DIR/pid" env SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 \
        systemd-nspawn --boot --directory="$HOST_DIR/copy" --machine=$HOST_NAME --register=no --keep-unit \
        --private-network --link-journal=no --resolv-conf=off --console=read-only --system-call-filter=@known \
        --capability=CAP_BPF,CAP_PERFMON,CAP_SYS_RESOURCE \
        </dev/null >"$HOST_DIR/boot.log" 2>&1 &
    local end=$((SECONDS + 90)) state
    while [ $SECONDS -lt $end ]; do
        state=$( (host timeout 20 systemctl is-system-running --wait) 2>/dev/null) || true
        case $state in running | degraded) return 0 ;; esac
        sleep 0.2
    done
    host_fail "did not come up: $HOST_DIR/boot.log"
}

host_off() {
    local pid end=$((SECONDS + 60))
    if pid=$(host_nspawn); then
        kill -TERM "$pid" # an orderly power-off
        while kill -0 "$pid" 2>/dev/null && [ $SECONDS -lt $end ]; do sleep 0.2; done
        # nothing but what was started here is in this cgroup
        if kill -0 "$pid" 2>/dev/null; then echo 1 >"$HOST_CGROUP/cgroup.kill" && sleep 1; fi
    fi
    rm -f "$HOST_DIR/pid"
    for pid in "$HOST_CGROUP" /sys/fs/cgroup/systemd/$HOST_NAME; do
        [ ! -d "$pid" ] || find "$pid" -depth -type d -exec rmdir {} + 2>/dev/null || true
    done
}

host_up() {
    [ "$(id -u)" = 0 ] || host_fail "needs root"
    [ "$HOST_CGROUP" != /$HOST_NAME ] || host_fail "no cgroup v2 tree is mounted"
    host_image
    host_down
    cp -a --reflink=auto "$HOST_DIR/image" "$HOST_DIR/copy"
    host_boot
}

host_reboot() {
    host_off
    host_boot
}

host_down() {
    host_off
    rm -rf --one-file-system "$HOST_DIR/copy"
}
