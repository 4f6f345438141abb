// SPDX-License-Identifier: Apache-2.0
#include "store/references.h"

#include <cerrno>

namespace sluice::store {

namespace {

// Remembers the first reference that leads nowhere.
class Checker {
public:
    explicit Checker(const policy::Policy &policy) : policy_(policy) {}

    template <typename Object>
    void provider_of(const Object &object, const char *kind) {
        must_have(policy_.providers, object.provider, "provider", kind, object);
    }
    template <typename Objects, typename Object>
    void must_have(const Objects &objects, const Guid &key, const char *what, const char *kind,
                   const Object &object) {
        if (!done_ || key.is_null() || objects.contains(key)) return;
        done_ =
            Error(EBADMSG, std::string(kind) + " " + object.key.text() + " (" + object.name +
                               ") refers to " + what + " " + key.text() + ", which is not there");
    }
    [[nodiscard]] Result<void> done() const { return done_; }

private:
    const policy::Policy &policy_;
    Result<void> done_;
};

} // namespace

Result<void> check_references(const policy::Policy &policy) {
    Checker check(policy);
    for (const auto &[key, object] : policy.provider_contexts)
        check.provider_of(object, "provider context");
    for (const auto &[key, object] : policy.sublayers)
        check.provider_of(object, "sublayer");
    for (const auto &[key, object] : policy.callouts)
        check.provider_of(object, "callout");
    for (const auto &[id, filter] : policy.filters) {
        check.provider_of(filter, "filter");
        check.must_have(policy.sublayers, filter.sublayer, "sublayer", "filter", filter);
        check.must_have(policy.callouts, filter.callout, "callout", "filter", filter);
        check.must_have(policy.provider_contexts, filter.provider_context, "provider context",
                        "filter", filter);
    }
    return check.done();
}

} // namespace sluice::store
