// SPDX-License-Identifier: Apache-2.0
#include "compiler/rows.h"

#include <sluice/fwp.h>

#include <algorithm>
#include <cstring>

namespace sluice::compiler {

namespace {

using policy::Group;
using policy::Interval;
using policy::Intervals;
using policy::Number;

// A test with the text behind it.
struct Part {
    dp_cell cell{};
    std::string text;
};
// All parts must hold.
using Chain = std::vector<Part>;

bool is_address(dp_slot slot) {
    return slot == DP_SLOT_LOCAL_ADDRESS || slot == DP_SLOT_REMOTE_ADDRESS ||
           slot == DP_SLOT_EMBEDDED_REMOTE_ADDRESS;
}

bool is_negative(std::uint32_t match) {
    return match == FWP_MATCH_NOT_EQUAL || match == FWP_MATCH_FLAGS_NONE_SET ||
           match == FWP_MATCH_NOT_PREFIX;
}

class Compiled {
public:
    Compiled(const policy::Test &test, bool v6, const Environment &environment)
        : slot_(test.slot), v6_(v6), environment_(environment) {}

    // The alternatives that one condition becomes.
    std::vector<Chain> operator()(const policy::IsEmpty &empty) {
        std::vector<Chain> out{{part(DP_OP_EMPTY)}};
        if (!policy::is_interface_property(empty.aspect)) return out;
        for (const Interface &interface : environment_.interfaces) {
            if (lacks_property(interface, empty.aspect))
                out.push_back({range(DP_OP_RANGE, {interface.index, interface.index})});
        }
        return out;
    }
    std::vector<Chain> operator()(const policy::IsIn &in) { return one_of(in.admitted); }
    std::vector<Chain> operator()(const policy::HasFlags &flags) {
        Part p = part(flags.match == FWP_MATCH_FLAGS_ALL_SET   ? DP_OP_FLAGS_ALL
                      : flags.match == FWP_MATCH_FLAGS_ANY_SET ? DP_OP_FLAGS_ANY
                                                               : DP_OP_FLAGS_NONE);
        p.cell.test.low.lo = flags.mask;
        return {{p}};
    }
    std::vector<Chain> operator()(const policy::IsInterface &wanted) {
        const bool negative = is_negative(wanted.match);
        Intervals indexes;
        for (const Interface &interface : environment_.interfaces) {
            // A negative comparison excludes those for which it does not hold, so that an interface
            // that nobody knows yet is what it most likely is: another one.
            if (has_property(interface, wanted) != negative)
                indexes.push_back({interface.index, interface.index});
        }
        indexes = policy::normalized(std::move(indexes));
        return negative ? none_of(indexes) : one_of(indexes);
    }
    std::vector<Chain> operator()(const policy::IsFile &file) {
        const auto known = environment_.files.find(file.path);
        std::vector<Part> parts;
        if (known != environment_.files.end()) {
            for (const FileId &id : known->second) {
                Part p = part(file.negated ? DP_OP_NOT_RANGE : DP_OP_RANGE);
                p.cell.test.low = p.cell.test.high = {id.device, id.inode};
                parts.push_back(p);
            }
        }
        return file.negated ? all_or(parts, DP_OP_ALWAYS) : any_or(parts, DP_OP_NEVER);
    }
    std::vector<Chain> operator()(const policy::IsPath &path) {
        if (path.match == FWP_MATCH_RANGE)
            return {{text(DP_COMPARE_GREATER_OR_EQUAL, path.text),
                     text(DP_COMPARE_LESS_OR_EQUAL, path.high)}};
        return {{text(compare_of(path.match), path.text)}};
    }
    std::vector<Chain> operator()(const policy::IsInCgroup &cgroup) {
        std::vector<Part> parts;
        for (const std::uint64_t id : ids_of(cgroup)) {
            Part p = part(cgroup.negated ? DP_OP_NOT_CGROUP : DP_OP_CGROUP);
            p.cell.test.low.lo = id;
            parts.push_back(p);
        }
        return cgroup.negated ? all_or(parts, DP_OP_ALWAYS) : any_or(parts, DP_OP_NEVER);
    }

private:
    [[nodiscard]] Part part(dp_op op) const {
        Part p;
        p.cell.op = static_cast<std::uint8_t>(op);
        p.cell.slot = static_cast<std::uint8_t>(slot_);
        return p;
    }
    // IPv4 as ::ffff:a.b.c.d.
    [[nodiscard]] dp_addr bound(Number n) const {
        constexpr std::uint64_t mapped = 0xffff'0000'0000ull;
        const auto low = static_cast<std::uint64_t>(n);
        if (is_address(slot_) && !v6_) return {0, mapped | low};
        return {static_cast<std::uint64_t>(n >> 64), low};
    }
    [[nodiscard]] Part range(dp_op op, const Interval &interval) const {
        Part p = part(op);
        p.cell.test.low = bound(interval.low);
        p.cell.test.high = bound(interval.high);
        return p;
    }
    [[nodiscard]] Part text(dp_compare compare, const std::string &bytes) const {
        Part p = part(DP_OP_TEXT);
        p.cell.compare = static_cast<std::uint8_t>(compare);
        p.cell.length = static_cast<std::uint32_t>(bytes.size());
        p.text = bytes;
        return p;
    }

    [[nodiscard]] std::vector<Chain> any_or(const std::vector<Part> &parts, dp_op none) const {
        if (parts.empty()) return {{part(none)}};
        std::vector<Chain> out;
        for (const Part &p : parts)
            out.push_back({p});
        return out;
    }
    [[nodiscard]] std::vector<Chain> all_or(const std::vector<Part> &parts, dp_op none) const {
        return {parts.empty() ? Chain{part(none)} : parts};
    }
    [[nodiscard]] std::vector<Chain> one_of(const Intervals &in) const {
        std::vector<Part> parts;
        for (const Interval &interval : in)
            parts.push_back(range(DP_OP_RANGE, interval));
        return any_or(parts, DP_OP_NEVER);
    }
    [[nodiscard]] std::vector<Chain> none_of(const Intervals &in) const {
        std::vector<Part> parts;
        for (const Interval &interval : in)
            parts.push_back(range(DP_OP_NOT_RANGE, interval));
        return all_or(parts, DP_OP_ALWAYS);
    }

    static dp_compare compare_of(std::uint32_t match) {
        switch (match) {
        case FWP_MATCH_GREATER:
            return DP_COMPARE_GREATER;
        case FWP_MATCH_LESS:
            return DP_COMPARE_LESS;
        case FWP_MATCH_GREATER_OR_EQUAL:
            return DP_COMPARE_GREATER_OR_EQUAL;
        case FWP_MATCH_LESS_OR_EQUAL:
            return DP_COMPARE_LESS_OR_EQUAL;
        case FWP_MATCH_PREFIX:
            return DP_COMPARE_ENDS_WITH;
        case FWP_MATCH_NOT_PREFIX:
            return DP_COMPARE_NOT_ENDS_WITH;
        default: // equal and not equal ask for the file, not for the text
            return DP_COMPARE_EQUAL_NO_CASE;
        }
    }
    [[nodiscard]] std::set<std::uint64_t> ids_of(const policy::IsInCgroup &cgroup) const {
        if (const auto *id = std::get_if<std::uint64_t>(&cgroup.which)) return {*id};
        const auto &names = cgroup.container ? environment_.containers : environment_.cgroups;
        const auto known = names.find(std::get<std::string>(cgroup.which));
        return known != names.end() ? known->second : std::set<std::uint64_t>{};
    }

    dp_slot slot_;
    bool v6_;
    const Environment &environment_;
};

// Numbers of one slot are one test, however many conditions they came from.
std::vector<policy::Test> merged(const Group &group) {
    std::vector<policy::Test> out;
    for (const policy::Test &test : group.alternatives) {
        const auto *in = std::get_if<policy::IsIn>(&test.question);
        const auto same = std::find_if(out.begin(), out.end(), [&](const policy::Test &earlier) {
            return in != nullptr && earlier.slot == test.slot &&
                   std::holds_alternative<policy::IsIn>(earlier.question);
        });
        if (same == out.end()) {
            out.push_back(test);
            continue;
        }
        Intervals &all = std::get<policy::IsIn>(same->question).admitted;
        all.insert(all.end(), in->admitted.begin(), in->admitted.end());
        all = policy::normalized(std::move(all));
    }
    return out;
}

void append(std::vector<dp_cell> &cells, const Part &part) {
    cells.push_back(part.cell);
    for (std::size_t at = 0; at < part.text.size(); at += DP_CELL_TEXT) {
        dp_cell text{};
        const std::size_t size = std::min<std::size_t>(DP_CELL_TEXT, part.text.size() - at);
        std::memcpy(text.text, part.text.data() + at, size);
        cells.push_back(text);
    }
}

std::uint32_t size_of(const std::vector<dp_cell> &cells) {
    return static_cast<std::uint32_t>(cells.size());
}

// A part that holds goes on to the next one of its chain, one that does not to the next chain.
void append(std::vector<dp_cell> &cells, const std::vector<Chain> &alternatives) {
    std::vector<std::size_t> last_parts;
    for (std::size_t i = 0; i < alternatives.size(); ++i) {
        std::vector<std::size_t> parts;
        for (const Part &part : alternatives[i]) {
            parts.push_back(cells.size());
            append(cells, part);
            cells[parts.back()].pass = size_of(cells);
        }
        const bool last = i + 1 == alternatives.size();
        for (const std::size_t part : parts)
            cells[part].fail = last ? no_other : size_of(cells);
        last_parts.push_back(parts.back());
    }
    for (const std::size_t part : last_parts)
        cells[part].pass = size_of(cells);
}

} // namespace

std::vector<dp_cell> tests_of(const std::vector<Group> &groups, bool v6,
                              const Environment &environment) {
    std::vector<dp_cell> cells;
    for (const Group &group : groups) {
        std::vector<Chain> alternatives;
        for (const policy::Test &test : merged(group)) {
            const auto more = std::visit(Compiled(test, v6, environment), test.question);
            alternatives.insert(alternatives.end(), more.begin(), more.end());
        }
        append(cells, alternatives);
    }
    return cells;
}

} // namespace sluice::compiler
