# Checks of the house beside the cmocka programs: one-way layers, each public header compiled
# alone as C17 and as C++17, and the installed files as a stranger's build would use them.
find_package(Python3 QUIET COMPONENTS Interpreter)
if(Python3_FOUND)
    set(layers ${PROJECT_SOURCE_DIR}/tools/check_layers.py)
    add_test(NAME layers COMMAND Python3::Interpreter ${layers})
    add_test(NAME layers_self_test COMMAND Python3::Interpreter ${layers} --self-test)
endif()

# Each header is included twice: first of all in its file, and again behind its own guard.
function(rn_header_checks target extension)
    set(sources "")
    foreach(header ${RN_HEADERS})
        get_filename_component(RN_HEADER ${header} NAME)
        set(source ${PROJECT_BINARY_DIR}/headers/${RN_HEADER}.${extension})
        file(CONFIGURE OUTPUT ${source} @ONLY CONTENT
             "#include <retnet/@RN_HEADER@>\n#include \"retnet/@RN_HEADER@\"\n")
        list(APPEND sources ${source})
    endforeach()
    add_library(${target} OBJECT ${sources})
    target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/include)
    target_compile_options(${target} PRIVATE -Wall -Wextra -pedantic-errors -Werror)
endfunction()

file(GLOB RN_HEADERS CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/include/retnet/*.h")
rn_header_checks(headers_c c)
include(CheckLanguage)
check_language(CXX)
if(CMAKE_CXX_COMPILER)
    enable_language(CXX)
    rn_header_checks(headers_cxx cpp)
    set_target_properties(headers_cxx PROPERTIES CXX_STANDARD 17 CXX_STANDARD_REQUIRED ON
                          CXX_EXTENSIONS OFF)
endif()

# A sanitized archive is no one's to link against, so only plain builds are installed.
if(NOT RN_SANITIZE)
    add_test(NAME install
             COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/install.sh ${PROJECT_SOURCE_DIR}
                     ${PROJECT_BINARY_DIR} ${CMAKE_C_COMPILER})
    set_tests_properties(install PROPERTIES LABELS install TIMEOUT 240)
endif()
