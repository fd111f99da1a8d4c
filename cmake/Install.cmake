# make install: libraries, header, pkg-config and CMake packages, manuals.
# (Programs install themselves, see cask_program().)

include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/caskade)

install(FILES include/caskade.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(DIRECTORY include/caskade DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(TARGETS caskade_shared EXPORT caskade-shared
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS caskade_static EXPORT caskade-static
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
# Two sets: who has no ISA-L can still use the shared library.
foreach(kind shared static)
    install(EXPORT caskade-${kind}
        NAMESPACE caskade::
        DESTINATION ${package_dir})
endforeach()

configure_package_config_file(
    cmake/caskade-config.cmake.in
    ${PROJECT_BINARY_DIR}/package/caskade-config.cmake
    INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(
    ${PROJECT_BINARY_DIR}/package/caskade-config-version.cmake
    COMPATIBILITY SameMinorVersion)
install(FILES
    ${PROJECT_BINARY_DIR}/package/caskade-config.cmake
    ${PROJECT_BINARY_DIR}/package/caskade-config-version.cmake
    cmake/FindIsal.cmake
    DESTINATION ${package_dir})

# Relative, so that the prefix may be chosen when it is installed.
file(RELATIVE_PATH CASK_PC_TO_PREFIX
    /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
string(REGEX REPLACE "/$" "" CASK_PC_TO_PREFIX "${CASK_PC_TO_PREFIX}")
configure_file(cmake/caskade.pc.in ${PROJECT_BINARY_DIR}/package/caskade.pc
    @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/package/caskade.pc
    DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
foreach(section 1 3)
    install(DIRECTORY docs/man/ DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section}
        OPTIONAL
        FILES_MATCHING PATTERN "*.${section}")
endforeach()
install(FILES cli/completion/caskade.bash
    DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions
    RENAME caskade
    OPTIONAL)
