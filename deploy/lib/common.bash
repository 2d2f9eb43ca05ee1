# What the scripts of deploy/ share. Sourced, never run.

# Stops with one line that says what is wrong and what to do.
fail() {
    echo "${0##*/}: $*" >&2
    exit 1
}

# Seconds since an arbitrary moment, for how long a step took.
now() {
    local uptime
    read -r uptime _ < /proc/uptime
    echo "${uptime%.*}"
}

require_swift() {
    command -v swift > /dev/null || fail \
        "the Swift toolchain (6.3 or later) is missing: see https://www.swift.org/install/linux"
}

# Installs Debian packages that are missing; asks for the lists of packages only when it must.
require_packages() {
    local missing=() package
    for package in "$@"; do
        dpkg-query --show --showformat='${db:Status-Status}\n' "$package" 2> /dev/null \
            | grep -qx installed || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return
    echo "installing ${missing[*]}"
    as_root apt-get install --yes --quiet "${missing[@]}" > /dev/null 2>&1 && return
    as_root apt-get update --quiet > /dev/null || fail "apt-get update failed"
    as_root apt-get install --yes --quiet "${missing[@]}" > /dev/null \
        || fail "apt-get could not install ${missing[*]}"
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        DEBIAN_FRONTEND=noninteractive "$@"
    else
        command -v sudo > /dev/null || fail "not root, and sudo is missing: run: $*"
        sudo DEBIAN_FRONTEND=noninteractive "$@"
    fi
}

# Builds the release binary and sets `tenon` to its path. TENON_BINARY names a ready one instead.
build_release() {
    if [ -n "${TENON_BINARY:-}" ]; then
        [ -x "$TENON_BINARY" ] || fail "TENON_BINARY=$TENON_BINARY is no program"
        tenon=$TENON_BINARY
        return
    fi
    require_swift
    require_packages liblz4-dev pkg-config
    echo "building tenon (release)"
    local log
    log=$(mktemp)
    if ! swift build --package-path "$root" --configuration release --product tenon > "$log" 2>&1
    then
        tail -n 40 "$log" >&2
        rm -f "$log"
        fail "the build failed"
    fi
    rm -f "$log"
    tenon=$(swift build --package-path "$root" --configuration release --show-bin-path)/tenon
}

# Builds what a drill needs, by its arguments: for --negative-control a program that can break its
# own rules, in a folder of its own (TENON_PLANTED_BINARY names a ready one); otherwise the release.
build_for_drill() {
    local argument
    for argument in "$@"; do
        if [ "$argument" = --negative-control ]; then
            build_planted
            return
        fi
    done
    build_release
}

# Builds the program with the trait PlantedFaults and sets `tenon` to its path.
build_planted() {
    if [ -n "${TENON_PLANTED_BINARY:-}" ]; then
        [ -x "$TENON_PLANTED_BINARY" ] \
            || fail "TENON_PLANTED_BINARY=$TENON_PLANTED_BINARY is no program"
        tenon=$TENON_PLANTED_BINARY
        return
    fi
    require_swift
    require_packages liblz4-dev pkg-config
    echo "building tenon (release, can break its rules)"
    local log flags
    flags=(--package-path "$root" --configuration release --traits PlantedFaults
        --scratch-path "$root/.build-planted")
    log=$(mktemp)
    if ! swift build "${flags[@]}" --product tenon > "$log" 2>&1; then
        tail -n 40 "$log" >&2
        rm -f "$log"
        fail "the build failed"
    fi
    rm -f "$log"
    tenon=$(swift build "${flags[@]}" --show-bin-path)/tenon
}
