// SPDX-License-Identifier: Apache-2.0
// What the tests of statuses share. They run twice: with a thread in sluiced's place, which gives
// the statuses that sluiced decides when told to, and, where SLUICE_STATUS_REAL is set, with the
// engine that SLUICE_SOCKET names, which gives them because of the situation that the test makes.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "fake_sluiced.h"
#include "fwp/instance.h"

namespace sluice::test {

inline WCHAR a_name[] = {'s', 't', 'a', 't', 'u', 's', 0};

class World {
public:
    World();
    [[nodiscard]] bool real() const { return path_.empty(); }
    // The thread in sluiced's place refuses with this status from now on, until the test is over.
    void refuse(NTSTATUS status);
    // The thread in sluiced's place answers so; it must be there.
    void answer(FakeSluiced::Answer answer) { daemon_->on_request(std::move(answer)); }
    void leave();  // sluiced ends
    void settle(); // sluiced is there again and refuses nothing; sessions are closed
    HANDLE open(UINT32 flags = FWPM_SESSION_FLAG_DYNAMIC, UINT32 wait_ms = 100);

private:
    std::string path_; // of the thread in sluiced's place
    std::unique_ptr<FakeSluiced> daemon_;
    std::vector<HANDLE> sessions_;
};
World &world();

// One object of each kind, none of which names another, in the dynamic session `session`.
struct Given {
    explicit Given(HANDLE session);
    HANDLE session;
    UINT64 filter = 0, context = 0;
    UINT32 callout = 0;
};
inline const GUID provider_key{0x57a70001, 1, 2, {}}, context_key{0x57a70002, 1, 2, {}},
    sublayer_key{0x57a70003, 1, 2, {}}, callout_key{0x57a70004, 1, 2, {}},
    filter_key{0x57a70005, 1, 2, {}}, no_key{0x57a7ffff, 1, 2, {}};

template <typename Struct>
using Change = std::function<void(Struct &)>;
NTSTATUS add_provider(HANDLE session, const Change<FWPM_PROVIDER0> &change = {});
NTSTATUS add_sublayer(HANDLE session, const Change<FWPM_SUBLAYER0> &change = {});
NTSTATUS add_callout(HANDLE session, const Change<FWPM_CALLOUT0> &change = {});
// With one condition, on the remote port.
NTSTATUS add_filter(HANDLE session, const Change<FWPM_FILTER0> &change = {});
inline NTSTATUS add_filter_if(HANDLE session, const Change<FWPM_FILTER_CONDITION0> &change) {
    return add_filter(session, [&](FWPM_FILTER0 &f) { change(*f.filterCondition); });
}
using AddContext = NTSTATUS (*)(HANDLE, const FWPM_PROVIDER_CONTEXT0 *, PSECURITY_DESCRIPTOR,
                                UINT64 *);
NTSTATUS add_context(HANDLE session, const Change<FWPM_PROVIDER_CONTEXT0> &change = {},
                     AddContext add = FwpmProviderContextAdd0);

// ---- rows: one test each, named Status.FUNCTION_STATUS ----

enum class Where { both, fake_only };
using Provoke = std::function<NTSTATUS()>;
void row(const std::string &test, NTSTATUS wanted, Provoke provoke, Where where = Where::both);

struct Status {
    const char *name;
    NTSTATUS value;
};
#define STATUS(s)                                                                                  \
    ::sluice::test::Status {                                                                       \
#s, s                                                                                      \
    }

using Call = std::function<NTSTATUS(HANDLE session)>;
// What the library decides by itself.
inline void row(const char *function, Status s, Provoke provoke) {
    row(std::string(function) + "_" + s.name, s.value, std::move(provoke));
}
// What sluiced decides: `situation` is made first and must succeed.
void decided(const char *function, Status s, const Call &situation, const Call &call,
             Where where = Where::both);

// How a function is called so that it succeeds; `given` are objects that it may name.
using Typical = std::function<NTSTATUS(HANDLE session, const Given &given)>;
enum Manner {
    local = 0,       // does not ask sluiced
    asks = 1 << 0,   // asks sluiced
    changes = 1 << 1 // adds or deletes
};
// STATUS_SUCCESS and the statuses that all functions of its manner have.
void typical(const char *function, int manner, const Typical &call);

void run_time_rows();
void packet_rows();
void list_function_rows();
void injection_rows();
void session_rows();
void object_rows();
void filter_rows();
void enumeration_rows();
void subscription_rows();
void redirect_rows();

} // namespace sluice::test
