// SPDX-License-Identifier: Apache-2.0
// What the tables of policy.db hold, and what must be written to make them hold something else.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "policy/policy.h"
#include "store/database.h"

namespace sluice::store {

// Whether the object outlives the engine: persistent, or a boot-time filter.
bool lasting(const policy::Provider &object);
bool lasting(const policy::ProviderContext &object);
bool lasting(const policy::SubLayer &object);
bool lasting(const policy::Callout &object);
bool lasting(const policy::Filter &object);

enum class Kind : std::uint8_t { provider, provider_context, sublayer, callout, filter };
constexpr std::size_t kinds = 5;

using Numbers = std::map<std::string, std::int64_t, std::less<>>;
using Documents = std::map<std::string, std::string, std::less<>>;

// One row to write, or (no message) to delete.
struct Change {
    Kind kind{};
    Guid key;
    std::uint64_t id = 0;
    std::optional<std::string> message;
    std::uint64_t stamp = 0; // differs when the object does
};

struct Difference {
    std::vector<Change> changes;
    Numbers numbers;
    Documents documents;
    [[nodiscard]] bool empty() const {
        return changes.empty() && numbers.empty() && documents.empty();
    }
};

class Contents {
public:
    // Reads every table, checks every row; `policy` gets the objects.
    static Result<Contents> read(Database &db, policy::Policy &policy);

    // known: filters of the policy that the tables hold.
    [[nodiscard]] std::vector<Change> changes_to(const policy::Policy &next,
                                                 const policy::Filters &known) const;
    [[nodiscard]] std::int64_t number(std::string_view name) const; // 0: never written
    [[nodiscard]] const std::string *document(std::string_view name) const;

    // In the transaction that is open; then, once it has committed:
    [[nodiscard]] Result<void> write(Database &db, Difference &difference) const;
    void written(Difference difference);

private:
    std::array<std::unordered_map<Guid, std::uint64_t>, kinds> stamps_;
    Numbers numbers_;
    Documents documents_;
};

} // namespace sluice::store
