# libcaskade.so and libcaskade.a, both from the objects of the shipped layers
# and both showing cask_* only.

get_property(layers GLOBAL PROPERTY CASK_SHIPPED_LAYERS)
set(objects)
foreach(layer IN LISTS layers)
    list(APPEND objects $<TARGET_OBJECTS:${layer}>)
endforeach()

add_library(caskade_shared SHARED ${objects})
set_target_properties(caskade_shared PROPERTIES
    OUTPUT_NAME caskade
    EXPORT_NAME caskade
    LINKER_LANGUAGE C
    VERSION ${PROJECT_VERSION}
    SOVERSION ${PROJECT_VERSION_MAJOR}
    LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/lib
    LINK_DEPENDS ${PROJECT_SOURCE_DIR}/cmake/caskade.map)
target_link_libraries(caskade_shared PRIVATE cask_flags Isal::isal Threads::Threads)
target_link_options(caskade_shared PRIVATE
    -Wl,--version-script=${PROJECT_SOURCE_DIR}/cmake/caskade.map)
if(NOT CASK_SANITIZE)
    target_link_options(caskade_shared PRIVATE -Wl,-z,defs)
endif()
target_include_directories(caskade_shared INTERFACE
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
    $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)

# An archive has no visibility of its own: join all objects into one, then make
# every hidden symbol local, so that a program linked statically cannot clash
# with an internal name.
set(joined ${PROJECT_BINARY_DIR}/layers/caskade.o)
add_custom_command(
    OUTPUT ${joined}
    COMMAND ${CMAKE_LINKER} -r -o ${joined} ${objects}
    COMMAND ${CMAKE_OBJCOPY} --localize-hidden ${joined}
    DEPENDS ${layers} ${objects}
    COMMAND_EXPAND_LISTS
    VERBATIM
    COMMENT "Joining the layers into one object")
add_library(caskade_static STATIC ${joined})
set_source_files_properties(${joined} PROPERTIES
    EXTERNAL_OBJECT ON
    GENERATED ON)
set_target_properties(caskade_static PROPERTIES
    OUTPUT_NAME caskade
    LINKER_LANGUAGE C
    ARCHIVE_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/lib)
target_link_libraries(caskade_static PUBLIC
    Isal::isal Threads::Threads)
target_include_directories(caskade_static INTERFACE
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
    $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
