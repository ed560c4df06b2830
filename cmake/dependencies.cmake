# What the library is built on: jansson (JSON), PCRE2 (expressions of tokenizers), utf8proc
# (Unicode), zstd (compressed text), protobuf-c (TensorBoard's event files), OpenMP (threads), and
# oneDNN (dense products, optional: 2.x and 3.x). The program alone: libedit (lines of a chat).
find_package(OpenMP REQUIRED COMPONENTS C)
find_package(PkgConfig REQUIRED)
set(RN_PACKAGES jansson libpcre2-8 libutf8proc libzstd libprotobuf-c)
pkg_check_modules(RN_PACKAGES REQUIRED IMPORTED_TARGET ${RN_PACKAGES})
pkg_check_modules(LIBEDIT REQUIRED IMPORTED_TARGET libedit)
find_program(RN_PROTOC_C protoc-c REQUIRED)

set(RN_HAVE_DNNL OFF)
if(RN_DNNL)
    list(APPEND CMAKE_MODULE_PATH ${CMAKE_CURRENT_LIST_DIR})
    find_package(DNNL QUIET MODULE)
    if(TARGET DNNL::dnnl)
        set(RN_HAVE_DNNL ON)
    endif()
endif()
message(STATUS "oneDNN: ${RN_HAVE_DNNL} ${DNNL_VERSION}")
