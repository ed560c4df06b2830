# What `cmake --install` puts where: program, library, headers, pkg-config and CMake package
# files, and the man pages and completions, which the built program writes from its own option
# tables. Everything can be moved: the files find their prefix by their own place.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(RN_COMMANDS train generate chat eval quantize convert info bench)
set(RN_SHARE ${PROJECT_BINARY_DIR}/share)
set(RN_CMAKE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/retnet)

install(TARGETS retnet_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS retnet EXPORT retnet
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/retnet
        DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE ${PROJECT_SOURCE_DIR}/README.md
        DESTINATION ${CMAKE_INSTALL_DOCDIR})
if(RN_SHARED)
    set_target_properties(retnet_cli PROPERTIES INSTALL_RPATH
                          "$ORIGIN/../${CMAKE_INSTALL_LIBDIR}")
endif()

# find_package(retnet) gives retnet::retnet. An archive needs its dependencies again.
install(EXPORT retnet NAMESPACE retnet:: FILE retnetTargets.cmake DESTINATION ${RN_CMAKE_DIR})
set(RN_DEPENDENCIES "")
if(NOT RN_SHARED)
    string(APPEND RN_DEPENDENCIES
           "include(\"\${CMAKE_CURRENT_LIST_DIR}/OpenMPForC.cmake\")\n"
           "find_dependency(PkgConfig)\n"
           "pkg_check_modules(RN_PACKAGES REQUIRED IMPORTED_TARGET ${RN_PACKAGES})\n")
    install(FILES ${CMAKE_CURRENT_LIST_DIR}/OpenMPForC.cmake DESTINATION ${RN_CMAKE_DIR})
    if(RN_HAVE_DNNL)
        string(APPEND RN_DEPENDENCIES
               "list(PREPEND CMAKE_MODULE_PATH \"\${CMAKE_CURRENT_LIST_DIR}\")\n"
               "find_dependency(DNNL MODULE)\n"
               "list(POP_FRONT CMAKE_MODULE_PATH)\n")
        install(FILES ${CMAKE_CURRENT_LIST_DIR}/FindDNNL.cmake DESTINATION ${RN_CMAKE_DIR})
    endif()
endif()
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/retnetConfig.cmake.in
                              ${PROJECT_BINARY_DIR}/retnetConfig.cmake
                              INSTALL_DESTINATION ${RN_CMAKE_DIR})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/retnetConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/retnetConfig.cmake
              ${PROJECT_BINARY_DIR}/retnetConfigVersion.cmake
        DESTINATION ${RN_CMAKE_DIR})

list(JOIN RN_PACKAGES ", " RN_PC_REQUIRES)

# pkg-config. Only an archive or only a shared library is installed: with the archive what it
# needs is everybody's, with the shared library it is private.
set(RN_PC_NEEDS "-lm")
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
    string(PREPEND RN_PC_NEEDS "-lgomp ")
else()
    string(PREPEND RN_PC_NEEDS "${OpenMP_omp_LIBRARY} ")
endif()
if(RN_HAVE_DNNL)
    string(PREPEND RN_PC_NEEDS "-L$<TARGET_LINKER_FILE_DIR:DNNL::dnnl> -ldnnl ")
endif()
if(RN_SHARED)
    set(RN_PC_PRIVATE ".private")
    set(RN_PC_LIBS "-lretnet\nLibs.private: ${RN_PC_NEEDS}")
else()
    set(RN_PC_PRIVATE "")
    set(RN_PC_LIBS "-lretnet ${RN_PC_NEEDS}")
endif()
file(RELATIVE_PATH RN_PC_PREFIX "/p/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/p")
string(REGEX REPLACE "/$" "" RN_PC_PREFIX "${RN_PC_PREFIX}")
configure_file(${CMAKE_CURRENT_LIST_DIR}/retnet.pc.in ${PROJECT_BINARY_DIR}/retnet.pc.gen @ONLY)
file(GENERATE OUTPUT ${PROJECT_BINARY_DIR}/retnet.pc
     INPUT ${PROJECT_BINARY_DIR}/retnet.pc.gen)
install(FILES ${PROJECT_BINARY_DIR}/retnet.pc
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

# Pages and completions, written by the program.
if(CMAKE_CROSSCOMPILING AND NOT CMAKE_CROSSCOMPILING_EMULATOR)
    return()
endif()
set(pages "")
function(rn_written_by_program name folder)
    set(page ${RN_SHARE}/${name})
    add_custom_command(OUTPUT ${page} COMMAND retnet_cli ${ARGN} > ${page}
                       DEPENDS retnet_cli COMMENT "Writing ${name}")
    install(FILES ${page} DESTINATION ${folder})
    set(pages ${pages} ${page} PARENT_SCOPE)
endfunction()

file(MAKE_DIRECTORY ${RN_SHARE})
rn_written_by_program(retnet.1 ${CMAKE_INSTALL_MANDIR}/man1 --man retnet)
foreach(part train encode decode)
    rn_written_by_program(retnet-tokenizer-${part}.1 ${CMAKE_INSTALL_MANDIR}/man1
                          --man "tokenizer ${part}")
endforeach()
foreach(command ${RN_COMMANDS})
    rn_written_by_program(retnet-${command}.1 ${CMAKE_INSTALL_MANDIR}/man1 --man ${command})
endforeach()
file(MAKE_DIRECTORY ${RN_SHARE}/bash)
rn_written_by_program(bash/retnet ${CMAKE_INSTALL_DATADIR}/bash-completion/completions
                      --completion bash)
rn_written_by_program(_retnet ${CMAKE_INSTALL_DATADIR}/zsh/site-functions --completion zsh)
rn_written_by_program(retnet.fish ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d
                      --completion fish)
add_custom_target(retnet_pages ALL DEPENDS ${pages})
