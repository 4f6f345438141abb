// SPDX-License-Identifier: Apache-2.0
// A field's value where it is a number.
#pragma once

#include "sluice/fwp.h"

namespace sluice::runtime {

inline FWP_VALUE0 value8(UINT8 v) {
    FWP_VALUE0 out{};
    out.type = FWP_UINT8;
    out.uint8 = v;
    return out;
}
inline FWP_VALUE0 value16(UINT16 v) {
    FWP_VALUE0 out{};
    out.type = FWP_UINT16;
    out.uint16 = v;
    return out;
}
inline FWP_VALUE0 value32(UINT32 v) {
    FWP_VALUE0 out{};
    out.type = FWP_UINT32;
    out.uint32 = v;
    return out;
}

} // namespace sluice::runtime
