// SPDX-License-Identifier: Apache-2.0
// What callouts do wrong with what they have to give back. It is counted and changes nothing else;
// the first time at each place in their code it is said in the log, in every build.
#pragma once

#include <string>

#include "runtime/slots.h"
#include "sluice/fwp.h"

namespace sluice::fwp {

// In the code that called the exported function in whose body this stands.
#define SLUICE_CALLER() __builtin_return_address(0)

// Text like "plugin.so+0x1234 (Name+0x10)"; "?" for null.
std::string place_text(const void *place);

// The object was given to `function` by the code at `place`, but it is none that may be: one that
// has ended, and then `frees` says whether the function would have ended it too, or a foreign one.
void report(const runtime::Slots &of, const void *object, const char *function, const void *place,
            bool frees);
// A list that is there, but whose callout has freed it, or not referenced it.
void report_freed_twice(const void *list, const char *function, const void *place);
void report_injected(const void *list, const char *function, const void *place);
// Lists that code of the driver's module made or referenced and did not give back: said with their
// places, counted and taken back. Lists of the program itself stay, since they may be another
// driver's.
void end_lists_of(const DRIVER_OBJECT &driver);

} // namespace sluice::fwp
