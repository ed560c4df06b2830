# oneDNN 2.x or 3.x as DNNL::dnnl, by header and library: the package file of some
# distributions asks for OpenCL's development files, which a CPU library has no use for.
find_path(DNNL_INCLUDE_DIR dnnl.h)
find_library(DNNL_LIBRARY dnnl)
mark_as_advanced(DNNL_INCLUDE_DIR DNNL_LIBRARY)

set(DNNL_VERSION "")
foreach(header dnnl_version.h oneapi/dnnl/dnnl_version.h)
    if(DNNL_INCLUDE_DIR AND EXISTS ${DNNL_INCLUDE_DIR}/${header})
        file(STRINGS ${DNNL_INCLUDE_DIR}/${header} numbers
             REGEX "define DNNL_VERSION_(MAJOR|MINOR|PATCH) +[0-9]+")
        string(REGEX MATCHALL "[0-9]+" numbers "${numbers}")
        list(JOIN numbers "." numbers)
        if(numbers)
            set(DNNL_VERSION ${numbers})
        endif()
    endif()
endforeach()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(DNNL REQUIRED_VARS DNNL_LIBRARY DNNL_INCLUDE_DIR
                                  VERSION_VAR DNNL_VERSION)
if(DNNL_FOUND AND NOT TARGET DNNL::dnnl)
    add_library(DNNL::dnnl UNKNOWN IMPORTED)
    set_target_properties(DNNL::dnnl PROPERTIES
        IMPORTED_LOCATION ${DNNL_LIBRARY} INTERFACE_INCLUDE_DIRECTORIES ${DNNL_INCLUDE_DIR})
endif()
