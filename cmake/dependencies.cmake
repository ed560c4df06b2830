# What the library is built on: jansson (JSON), OpenMP (threads), and oneDNN (dense products,
# optional: 2.x and 3.x).
find_package(OpenMP REQUIRED COMPONENTS C)
find_package(PkgConfig REQUIRED)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)

set(RN_HAVE_DNNL OFF)
if(RN_DNNL)
    list(APPEND CMAKE_MODULE_PATH ${CMAKE_CURRENT_LIST_DIR})
    find_package(DNNL QUIET MODULE)
    if(TARGET DNNL::dnnl)
        set(RN_HAVE_DNNL ON)
    endif()
endif()
message(STATUS "oneDNN: ${RN_HAVE_DNNL} ${DNNL_VERSION}")
