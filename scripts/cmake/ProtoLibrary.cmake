# SPDX-License-Identifier: Apache-2.0
# proto_library(name folder/file.proto): a static library of the messages in control/folder/file.proto, included as
# "folder/file.pb.h". Generated code is not held to our warnings, but it is instrumented like the rest.
# (protobuf_generate always searches the calling folder first and so loses `folder/`.)
function(proto_library name file)
    string(REGEX REPLACE "\\.proto$" "" stem "${PROJECT_BINARY_DIR}/proto/${file}")
    add_custom_command(OUTPUT "${stem}.pb.cc" "${stem}.pb.h"
        COMMAND ${CMAKE_COMMAND} -E make_directory "${PROJECT_BINARY_DIR}/proto"
        COMMAND protobuf::protoc "--cpp_out=${PROJECT_BINARY_DIR}/proto" "-I${PROJECT_SOURCE_DIR}/control" "${file}"
        DEPENDS "${PROJECT_SOURCE_DIR}/control/${file}" COMMENT "proto ${file}" VERBATIM)
    add_library(${name} STATIC "${stem}.pb.cc" "${stem}.pb.h")
    target_include_directories(${name} SYSTEM PUBLIC "${PROJECT_BINARY_DIR}/proto")
    target_link_libraries(${name} PUBLIC protobuf::libprotobuf Threads::Threads)
    if(SLUICE_SANITIZE)
        target_compile_options(${name} PUBLIC -fsanitize=${SLUICE_SANITIZE})
    endif()
endfunction()
