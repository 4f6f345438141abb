// SPDX-License-Identifier: Apache-2.0
#include <cerrno>
#include <climits>
#include <cstdlib>

#include "fwp/instance.h"
#include "runtime/text.h"
#include "runtime/values.h"

using namespace sluice;

NTSTATUS FwpmGetAppIdFromFileName0(PCWSTR name, FWP_BYTE_BLOB **id) {
    return fwp::guarded([&] {
        if (!name || !id) return STATUS_FWP_NULL_POINTER;
        char path[PATH_MAX];
        if (!::realpath(runtime::to_utf8(name).c_str(), path))
            return errno == EACCES ? STATUS_ACCESS_DENIED : STATUS_OBJECT_NAME_NOT_FOUND;
        const std::u16string wide = runtime::to_utf16(path);
        const std::string_view bytes(reinterpret_cast<const char *>(wide.c_str()),
                                     (wide.size() + 1) * sizeof(char16_t));
        *id = static_cast<FWP_BYTE_BLOB *>(runtime::one_allocation([&](runtime::Arena &arena) {
            auto *blob = arena.make<FWP_BYTE_BLOB>();
            *blob = runtime::to_blob(arena, bytes);
        }));
        return STATUS_SUCCESS;
    });
}
