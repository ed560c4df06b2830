#!/usr/bin/env bash
# Installs a finished build into a fresh folder and uses it as a stranger would: the example
# programs built with pkg-config and with CMake's find_package, pages and completions present.
# install.sh SOURCE BUILD COMPILER
set -euo pipefail
source=$1 build=$2 compiler=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
    echo "install: $1" >&2
    exit 1
}

cmake --install "$build" --prefix "$work/first" >"$work/log" || { cat "$work/log"; exit 1; }
# Moved, so that no path of the first place can be what makes it work.
mv "$work/first" "$work/prefix"
prefix=$work/prefix

"$prefix/bin/retnet" --version >/dev/null || fail "the installed program does not run"
for file in bin/retnet share/man/man1/retnet.1 share/man/man1/retnet-{train,generate,chat}.1 \
    share/man/man1/retnet-{convert,tokenizer-encode}.1 share/bash-completion/completions/retnet \
    share/zsh/site-functions/_retnet share/fish/vendor_completions.d/retnet.fish; do
    [ -s "$prefix/$file" ] || fail "$file is missing or empty"
done
for header in "$source"/include/retnet/*.h; do
    cmp -s "$header" "$prefix/include/retnet/${header##*/}" || fail "${header##*/} differs"
done
grep -rqF "$build" "$prefix/include" "$prefix"/lib*/pkgconfig "$prefix"/lib*/cmake &&
    fail "a path of the build folder was installed"

config=$(find "$prefix" -name retnet.pc)
[ -n "$config" ] || fail "no retnet.pc"
export PKG_CONFIG_PATH=${config%/*}
export LD_LIBRARY_PATH=${PKG_CONFIG_PATH%/pkgconfig}
pkg-config --print-errors --exists retnet
mkdir "$work/pkg" "$work/cmake"
{
    echo 'cmake_minimum_required(VERSION 3.25)'
    echo 'project(stranger LANGUAGES C)'
    echo 'find_package(retnet 0.1 REQUIRED)'
} >"$work/cmake/CMakeLists.txt"

for example in "$source"/examples/*.c; do
    name=$(basename "$example" .c)
    # shellcheck disable=SC2046
    "$compiler" -std=c17 -o "$work/pkg/$name" "$example" $(pkg-config --cflags --libs retnet) -lm
    (cd "$work/pkg" && "./$name" >out) || fail "$name, built with pkg-config, failed"
    {
        echo "add_executable($name \"$example\")"
        echo "target_link_libraries($name PRIVATE retnet::retnet m)"
    } >>"$work/cmake/CMakeLists.txt"
done

# A project of C++ alone, by the C++ compiler that goes with the C compiler.
case ${compiler##*/} in
clang*) cxx=${compiler/clang/clang++} ;;
*gcc*) cxx=${compiler/gcc/g++} ;;
*) cxx=${compiler%cc}c++ ;;
esac
mkdir "$work/cxx"
cat >"$work/cxx/main.cpp" <<'END'
#include <retnet/retnet.h>
int main()
{
    rn_exec *exec = nullptr;
    rn_error err = {};
    if (rn_exec_open(&exec, nullptr, &err)) return 1;
    rn_exec_close(exec);
}
END
cat >"$work/cxx/CMakeLists.txt" <<'END'
cmake_minimum_required(VERSION 3.25)
project(stranger LANGUAGES CXX)
find_package(retnet 0.1 REQUIRED)
add_executable(stranger main.cpp)
target_link_libraries(stranger PRIVATE retnet::retnet)
END
if command -v "$cxx" >/dev/null; then
    cmake -S "$work/cxx" -B "$work/cxx/build" -G Ninja -DCMAKE_CXX_COMPILER="$cxx" \
        -DCMAKE_PREFIX_PATH="$prefix" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
    cmake --build "$work/cxx/build" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
    "$work/cxx/build/stranger" || fail "a program in C++, built with find_package, failed"
fi

cmake -S "$work/cmake" -B "$work/cmake/build" -G Ninja -DCMAKE_C_COMPILER="$compiler" \
    -DCMAKE_PREFIX_PATH="$prefix" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
cmake --build "$work/cmake/build" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
for example in "$source"/examples/*.c; do
    name=$(basename "$example" .c)
    (cd "$work/cmake" && "build/$name" >out) || fail "$name, built with find_package, failed"
done
