// SPDX-License-Identifier: Apache-2.0
// Policies one after the other -> plans. Where the next one differs by few filters, the image of
// the one before is changed and not made anew.
#pragma once

#include <map>
#include <memory>

#include "compiler/compile.h"
#include "compiler/layout.h"

namespace sluice::compiler {

// Of one data plane. Policies may come in any order; none need be published. A plan's layout is
// changed by the next compile(): it is to be used before.
class Compiler {
public:
    // As the function of this name, without the policy's boot-time filters: they hold until the
    // engine runs, and who compiles one policy after the other is the engine.
    Result<Plan> compile(const policy::Policy &policy, std::uint64_t generation,
                         const Environment &environment);

private:
    // What the image was made of.
    struct Base {
        policy::Filters filters;
        std::map<Guid, std::uint16_t> sublayers; // weights
        std::map<Guid, std::uint32_t> callout_ids;
        Environment environment;
    };
    struct Difference {
        std::vector<const policy::Filter *> gone, come;
    };

    Result<Plan> anew(const policy::Policy &policy, std::uint64_t generation,
                      const Environment &environment);
    // Nullopt: the image has to be made anew.
    std::optional<Result<Plan>> changed(const policy::Policy &policy, std::uint64_t generation,
                                        const Environment &environment);
    [[nodiscard]] bool is_small_change(const Difference &difference) const;
    bool apply(const policy::Policy &policy, const Difference &difference,
               const Environment &environment);
    bool insert(const policy::Policy &policy, const policy::Filter &filter,
                const Environment &environment);
    bool remove(const policy::Filter &filter);
    bool replace_layer(const policy::Policy &policy, std::uint16_t layer,
                       const Environment &environment);
    [[nodiscard]] std::optional<RowKey> key_of(const policy::Filter &filter) const;
    [[nodiscard]] Plan plan(std::uint64_t generation) const;
    void remember(const policy::Policy &policy, const Environment &environment);

    Base base_;
    std::shared_ptr<Layout> layout_; // null: there is nothing to go on from
    std::size_t cells_ = 0;
    std::size_t changes_ = 0;                          // since the image was made
    std::vector<std::uint64_t> ids_;                   // in it, ascending
    std::map<std::uint16_t, std::vector<Guid>> order_; // of the sublayers of a layer
};

} // namespace sluice::compiler
