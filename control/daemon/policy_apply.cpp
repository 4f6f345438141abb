// SPDX-License-Identifier: Apache-2.0
#include "daemon/policy_apply.h"

#include <algorithm>
#include <cerrno>
#include <malloc.h>
#include <spdlog/spdlog.h>

#include "daemon/core.h"
#include "daemon/engine.h"
#include "daemon/plugins.h"
#include "daemon/policy_file.h"
#include "daemon/sessions.h"
#include "policy/built_in.h"
#include "sluice/fwp.h"
#include "sluice/fwp_status.h"

namespace sluice::daemon {

namespace {

constexpr std::size_t pieces_bytes_max = 256 * 1024 * 1024;

std::uint64_t wall_clock_ms() {
    using namespace std::chrono;
    return static_cast<std::uint64_t>(
        duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count());
}

bool names_ask(const FileObjects &objects) {
    return std::any_of(objects.filters.begin(), objects.filters.end(), [](const auto &filter) {
        return !filter.callout.is_null() && policy::is_ask_callout(filter.callout);
    });
}

// A file of many filters leaves a heap of what was made on the way and is free now.
constexpr std::size_t worth_trimming = 10000;

// Going back again changes nothing.
std::shared_ptr<Sessions::Replacement> go_back_to(const policy::Policy &policy) {
    return std::make_shared<Sessions::Replacement>(Sessions::Replacement{
        .objects = file_objects(policy), .last_good = policy, .vetoes = false});
}

} // namespace

void PolicyApplier::apply(const protocol::PolicyApply &message, const Responder &to) {
    const auto client = to.client();
    if (!client) return;
    auto &gathered = pieces_[client->id];
    gathered.bytes += message.ByteSizeLong();
    if (gathered.bytes > pieces_bytes_max) {
        gathered.objects = {}; // and the rest as it comes: a part of a policy is none
        if (!message.more()) pieces_.erase(client->id);
        return to.fail(Error(E2BIG, "take a policy of more than 256 MiB"));
    }
    if (!gathered.wrong)
        if (auto r = gathered.objects.add(message.objects()); !r) gathered.wrong = r.error();
    if (message.more()) return;
    auto [objects, bytes, wrong] = std::move(gathered);
    pieces_.erase(client->id);
    if (wrong) return to.fail(*wrong);
    if (confirm_until_ms_ != 0 && !message.check_only())
        return to.fail(Error(EBUSY, "apply a policy while another waits for `sluice policy apply` "
                                    "to be confirmed or rolled back"));
    const bool asks = names_ask(objects), many = objects.filters.size() >= worth_trimming;
    const auto &last_good = core_.engine->policy(); // a copy shares its filters
    auto replacement = std::make_shared<Sessions::Replacement>(Sessions::Replacement{
        .objects = std::move(objects), .last_good = last_good, .check_only = message.check_only()});
    replacement->committed = [this, last_good, many, confirm_ms = message.confirm_ms()] {
        if (many) core_.loop.after(Milliseconds(100), [] { ::malloc_trim(0); });
        last_good_ = last_good;
        if (confirm_ms != 0) expect_confirmation(wall_clock_ms() + confirm_ms);
        core_.save_or_warn();
    };
    if (message.check_only() || !asks)
        return core_.sessions->replace_policy_file(message.session(), replacement, to);
    core_.plugins->need_ask([this, id = message.session(), replacement, to](const Result<void> &r) {
        if (!r) return to.fail(r.error());
        core_.sessions->replace_policy_file(id, replacement, to);
    });
}

void PolicyApplier::confirm(const Responder &to) {
    if (confirm_until_ms_ == 0) return to.fail(Error(0, "no policy waits for a confirmation"));
    expect_confirmation(0);
    core_.save_or_warn();
    to.done();
}

void PolicyApplier::rollback(const Responder &to) {
    if (!last_good_) return to.fail(Error(0, "no policy file was applied yet"));
    auto replacement = go_back_to(*last_good_);
    replacement->committed = [this] {
        expect_confirmation(0);
        core_.save_or_warn();
    };
    core_.sessions->replace_policy_file(0, replacement, to);
}

void PolicyApplier::expect_confirmation(std::uint64_t until_ms) {
    core_.loop.cancel(timer_);
    confirm_until_ms_ = until_ms;
    if (until_ms == 0) return;
    const std::uint64_t now = wall_clock_ms();
    timer_ = core_.loop.after(Milliseconds(until_ms > now ? until_ms - now : 0),
                              [this] { go_back_by_itself(); });
}

void PolicyApplier::go_back_by_itself() {
    spdlog::warn("the applied policy was not confirmed in time: going back to the one before");
    auto replacement = go_back_to(last_good_.value_or(policy::Policy()));
    replacement->committed = [this] {
        confirm_until_ms_ = 0;
        core_.save_or_warn();
    };
    core_.sessions->replace_policy_file(replacement);
}

void PolicyApplier::load(const store::State *state,
                         const std::optional<protocol::Objects> &last_good) {
    if (last_good) {
        auto policy = policy_of_document(*last_good);
        if (policy)
            last_good_ = std::move(*policy);
        else
            spdlog::error("what a rollback would bring back: {}", policy.error().text());
    }
    if (state != nullptr) expect_confirmation(state->policy_confirm_until_ms());
}

void PolicyApplier::save(store::State &state) const {
    state.set_policy_confirm_until_ms(confirm_until_ms_);
}

} // namespace sluice::daemon
