#!/usr/bin/env bash
# Installs what is missing, and only that: tools/setup.sh build|check
# The one list of what the project needs. Without apt, or without the right to use it, the list
# of what is missing is printed and the exit status is 1. Nothing missing: no network, no root.
# RETNET_NO_INSTALL=1 never installs. Optional packages that could not be had are remembered in
# build/without and not asked for again.
set -euo pipefail

# For whom, the Debian and Ubuntu package, how it is recognised. A leading ? marks what the
# project can do without. check also needs what build needs.
packages() {
    cat <<'LIST'
build gcc             command gcc
build libc6-dev       header stdio.h
build cmake           command cmake
build ninja-build     command ninja
build pkg-config      command pkg-config
build libjansson-dev  library jansson
build libpcre2-dev    library libpcre2-8
build libutf8proc-dev library libutf8proc
build libzstd-dev     library libzstd
build libprotobuf-c-dev library libprotobuf-c
build protobuf-c-compiler command protoc-c
build libedit-dev     library libedit
build ?libdnnl-dev    header dnnl.h
check clang           command clang
check libomp-dev      clang -fopenmp
check libclang-rt-dev clang -fsanitize=address
check libcmocka-dev   library cmocka
check python3         command python3
check ?clang-format-14 command clang-format-14
check ?gnuplot-nox    command gnuplot
LIST
}

found() {
    case $1 in
    command) command -v "$2" >/dev/null ;;
    header) echo "#include <$2>" | gcc -E -x c - >/dev/null 2>&1 ;;
    library) pkg-config --exists "$2" 2>/dev/null ;;
    clang) echo 'int main(void) { return 0; }' |
        clang "$2" -x c - -o "$probe" >/dev/null 2>&1 ;;
    esac
}

wanted() {
    [ "$1" = "$goal" ] || [ "$1" = build ]
}

# Sets `missing` and `optional` to the packages that are not there.
look() {
    missing=() optional=()
    local group package how what
    while read -r group package how what; do
        wanted "$group" || continue
        found "$how" "$what" && continue
        case $package in
        \?*) grep -qsx "${package#\?}" "$without" || optional+=("${package#\?}") ;;
        *) missing+=("$package") ;;
        esac
    done < <(packages)
}

# The words before apt-get, or failure where it may not be run.
privilege() {
    [ -z "${RETNET_NO_INSTALL:-}" ] && command -v apt-get >/dev/null || return 1
    if [ "$(id -u)" = 0 ]; then
        echo env
    elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
        echo sudo -n env
    else
        return 1
    fi
}

apt() {
    $as DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=120 -qq "$@" \
        >>"$log" 2>&1 </dev/null
}

install_packages() {
    echo "setup: apt-get install $*"
    apt install -y --no-install-recommends "$@"
}

give_up() {
    echo "setup: $1" >&2
    echo "  missing: ${missing[*]}" >&2
    echo "  on Debian and Ubuntu: sudo apt-get install ${missing[*]} ${optional[*]}" >&2
    exit 1
}

goal=${1:-}
case $goal in
build | check) ;;
*) echo "usage: tools/setup.sh build|check" >&2 && exit 2 ;;
esac
cd "$(dirname "$0")/.."
mkdir -p build
without=build/without
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
probe=$scratch/probe
log=$scratch/log

look
[ ${#missing[@]} -gt 0 ] || [ ${#optional[@]} -gt 0 ] || exit 0
if ! as=$(privilege); then
    [ ${#missing[@]} -eq 0 ] && exit 0
    give_up "some packages are missing and cannot be installed from here:"
fi
if ! apt update; then
    cat "$log" >&2
    [ ${#missing[@]} -eq 0 ] || give_up "the package lists could not be read:"
fi
if [ ${#missing[@]} -gt 0 ] && ! install_packages "${missing[@]}"; then
    cat "$log" >&2
    give_up "apt-get could not install everything:"
fi
for package in "${optional[@]}"; do
    install_packages "$package" && continue
    echo "setup: going on without $package"
    echo "$package" >>"$without"
done
look
[ ${#missing[@]} -eq 0 ] || give_up "still not found after the installation:"
