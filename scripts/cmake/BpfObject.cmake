# SPDX-License-Identifier: Apache-2.0
# bpf_object(name source): compiles source with clang-16 and makes the interface target `<name>_skel`, which gives
# `#include "<name>.skel.h"`; the object is embedded, there is nothing to find at run time.
find_program(SLUICE_CLANG NAMES clang-16 clang REQUIRED)
find_program(SLUICE_BPFTOOL NAMES bpftool PATHS /usr/sbin /sbin REQUIRED)
find_program(SLUICE_LLVM_STRIP NAMES llvm-strip-16 llvm-strip REQUIRED)

function(bpf_object name source)
    set(object "${CMAKE_CURRENT_BINARY_DIR}/${name}.bpf.o")
    set(skeleton "${CMAKE_CURRENT_BINARY_DIR}/skel/${name}.skel.h")
    add_custom_command(OUTPUT "${object}"
        COMMAND ${SLUICE_CLANG} -g -O2 -target bpf -mcpu=v3 -Wall -Wextra -Wno-unused-parameter
            -I${PROJECT_SOURCE_DIR}/bpf -I/usr/include/${CMAKE_LIBRARY_ARCHITECTURE}
            -MD -MF "${object}.d" -c "${CMAKE_CURRENT_SOURCE_DIR}/${source}" -o "${object}"
        COMMAND ${SLUICE_LLVM_STRIP} -g "${object}"
        DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/${source}" DEPFILE "${object}.d"
        COMMENT "bpf ${name}" VERBATIM)
    add_custom_command(OUTPUT "${skeleton}"
        COMMAND ${CMAKE_COMMAND} -E make_directory "${CMAKE_CURRENT_BINARY_DIR}/skel"
        COMMAND sh -c "'${SLUICE_BPFTOOL}' gen skeleton '${object}' name ${name}_bpf > '${skeleton}'"
        DEPENDS "${object}" COMMENT "skeleton ${name}" VERBATIM)
    add_custom_target(${name}_skel_file DEPENDS "${skeleton}")
    add_library(${name}_skel INTERFACE)
    target_include_directories(${name}_skel SYSTEM INTERFACE "${CMAKE_CURRENT_BINARY_DIR}/skel")
    add_dependencies(${name}_skel ${name}_skel_file)
endfunction()
