// SPDX-License-Identifier: Apache-2.0
// Holds every connection, and says for how long and what then: PATIENT_MS, PATIENT_OUTCOME (a
// number of SLUICE_HOLD_OUTCOME).
#include <cstdlib>

#include <sluice.hpp>

using namespace sluice;

namespace {

UINT32 number(const char *name) {
    const char *text = std::getenv(name);
    return text ? static_cast<UINT32>(std::strtoul(text, nullptr, 10)) : 0;
}

struct Patient {
    explicit Patient(Driver &driver) : device(driver, "patient") {
        const SLUICE_HOLD_OPTIONS0 options{
            number("PATIENT_MS"), static_cast<SLUICE_HOLD_OUTCOME>(number("PATIENT_OUTCOME"))};
        check(SluiceHostSetHoldDefaults0(&options), "SluiceHostSetHoldDefaults0");
    }

    static Verdict wait(Classification &connection) {
        if (connection.reauthorizing()) return soft_permit();
        connection.pend().release();
        return pended();
    }

    Device device;
    Engine engine{"patient"};
    Callout callout{device, engine, "patient", FWPM_LAYER_ALE_AUTH_CONNECT_V4, wait};
};

} // namespace

SLUICE_PLUGIN(Patient);
