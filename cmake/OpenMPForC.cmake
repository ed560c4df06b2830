# OpenMP::OpenMP_C, which the archive asks for, also in a project without C: the runtime of
# its C++ compiler is the same.
if(CMAKE_C_COMPILER_LOADED)
    find_dependency(OpenMP COMPONENTS C)
else()
    find_dependency(OpenMP COMPONENTS CXX)
    if(NOT TARGET OpenMP::OpenMP_C)
        add_library(OpenMP::OpenMP_C INTERFACE IMPORTED)
        target_link_libraries(OpenMP::OpenMP_C INTERFACE OpenMP::OpenMP_CXX)
    endif()
endif()
