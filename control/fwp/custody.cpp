// SPDX-License-Identifier: Apache-2.0
#include "fwp/custody.h"

#include <cstdio>
#include <dlfcn.h>
#include <set>
#include <sys/auxv.h>

#include "fwp/instance.h"
#include "runtime/log.h"
#include "runtime/net_buffer.h"
#include "runtime/net_buffer_tags.h"

namespace sluice::fwp {

namespace {

using runtime::BufferList;
using runtime::Slots;

constexpr std::size_t said_max = 256, left_said = 16;

// Once for each function and place.
bool first_time(const char *function, const void *place) {
    static Mutex mutex;
    static auto *const said = new std::set<std::pair<const void *, const void *>>;
    Lock lock(mutex);
    return said->size() < said_max && said->insert({function, place}).second;
}

const void *module_of(const void *place) {
    Dl_info info{};
    return place && ::dladdr(place, &info) ? info.dli_fbase : nullptr;
}

// Where the program itself lies, which may have the code of several drivers.
const void *program() {
    return module_of(reinterpret_cast<const void *>(::getauxval(AT_ENTRY)));
}

} // namespace

std::string place_text(const void *place) {
    Dl_info info{};
    if (!place || !::dladdr(place, &info) || !info.dli_fname) return "?";
    const auto offset = [place](const void *from) {
        char text[24];
        std::snprintf(text, sizeof text, "+0x%zx",
                      static_cast<std::size_t>(static_cast<const char *>(place) -
                                               static_cast<const char *>(from)));
        return std::string(text);
    };
    std::string out = info.dli_fname;
    out = out.substr(out.rfind('/') + 1) + offset(info.dli_fbase);
    if (info.dli_sname) out += " (" + std::string(info.dli_sname) + offset(info.dli_saddr) + ")";
    return out;
}

void report(const Slots &of, const void *object, const char *function, const void *place,
            bool frees) {
    auto &counters = engine().counters();
    const bool gone = of.find(object) == Slots::Found::gone;
    ++(!gone ? counters.foreign_lists : frees ? counters.freed_twice : counters.used_after_free);
    if (!first_time(function, place)) return;
    if (gone)
        runtime::log().warn("{} at {}: {} {}; it was freed at {}", function, place_text(place),
                            object, frees ? "has been freed before" : "is used after it was freed",
                            place_text(of.ended_at(object)));
    else
        runtime::log().warn("{} at {}: {} is not of the functions that this one takes", function,
                            place_text(place), object);
}

void report_freed_twice(const void *list, const char *function, const void *place) {
    ++engine().counters().freed_twice;
    if (first_time(function, place))
        runtime::log().warn("{} at {}: {} has been given back before, first at {}", function,
                            place_text(place), list,
                            place_text(BufferList::slots().ended_at(list)));
}

void report_injected(const void *list, const char *function, const void *place) {
    ++engine().counters().used_after_free;
    if (first_time(function, place))
        runtime::log().warn("{} at {}: {} is the engine's until its injection completes", function,
                            place_text(place), list);
}

void end_lists_of(const DRIVER_OBJECT &driver) {
    const void *module = module_of(reinterpret_cast<const void *>(driver.DriverInit));
    if (!module || module == program()) return;
    runtime::buffer_tags().forget(
        [module](const void *function) { return module_of(function) == module; });
    std::size_t found = 0;
    for (const BufferList::Left &left : BufferList::left()) {
        const bool made = left.owned && module_of(left.made_at) == module;
        const bool referenced = left.references > 0 && module_of(left.referenced_at) == module;
        if (!made && !referenced) continue;
        ++engine().counters().lists_left;
        if (found++ < left_said)
            runtime::log().warn("driver left list {}, made at {}, {} references, last at {}",
                                static_cast<const void *>(left.list), place_text(left.made_at),
                                left.references, place_text(left.referenced_at));
        left.list->take_back();
    }
    if (found > left_said) runtime::log().warn("driver left {} lists in all", found);
}

} // namespace sluice::fwp
