# Compiler flags of the whole tree. Kernels compiled for one instruction set get theirs in
# src/CMakeLists.txt. -ffp-contract=off: a*b+c is fused only where the code says so, so that
# every compiler gives the reference the same bits.
add_library(rn_flags INTERFACE)
target_compile_options(rn_flags INTERFACE
    -Wall -Wextra -Wconversion -Wmissing-prototypes -Wvla -Wshadow -Wstrict-prototypes
    -ffp-contract=off -fno-math-errno -fno-trapping-math
    $<$<BOOL:${RN_WERROR}>:-Werror>)
if(RN_SANITIZE)
    target_compile_options(rn_flags INTERFACE -fsanitize=${RN_SANITIZE}
                           -fno-omit-frame-pointer -fno-sanitize-recover=all)
    target_link_options(rn_flags INTERFACE -fsanitize=${RN_SANITIZE})
    # gcc 13 puts 64-byte vectors of use-after-return frames at odd multiples of 32 and then
    # stores them aligned: an AVX-512 kernel crashes. So those frames are left out.
    if(RN_SANITIZE MATCHES "address" AND CMAKE_C_COMPILER_ID STREQUAL "GNU")
        target_compile_options(rn_flags INTERFACE --param asan-use-after-return=0)
    endif()
endif()
if(RN_FUZZ)
    target_compile_options(rn_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
set(CMAKE_C_FLAGS_RELEASE "-O3 -DNDEBUG")
set(CMAKE_C_FLAGS_DEBUG "-O1 -g")

# What the tests run with. clang's OpenMP tells the thread sanitizer of its barriers by itself, but
# wants its own innards left out.
set(RN_TEST_ENVIRONMENT "OMP_WAIT_POLICY=passive")
if(RN_SANITIZE MATCHES "thread")
    list(APPEND RN_TEST_ENVIRONMENT "TSAN_OPTIONS=ignore_noninstrumented_modules=1")
endif()
