// SPDX-License-Identifier: Apache-2.0
#include "fwp/requests.h"

namespace sluice::fwp {

NTSTATUS delete_object(HANDLE session, protocol::ObjectKind kind, const Name &name) {
    return guarded([&] {
        return ask(session, [&](protocol::Request &r, std::uint64_t id) {
            put(*r.mutable_object_delete(), id, kind, name);
        });
    });
}

} // namespace sluice::fwp
