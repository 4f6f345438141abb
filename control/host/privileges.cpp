// SPDX-License-Identifier: Apache-2.0
#include "host/privileges.h"

#include <cerrno>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <vector>

namespace sluice::host {

namespace {

// Before the ids change: it needs CAP_SETPCAP. An unprivileged process has nothing to shrink.
void empty_bounding_set() {
    for (unsigned long capability = 0; ::prctl(PR_CAPBSET_READ, capability) >= 0; ++capability)
        if (::prctl(PR_CAPBSET_DROP, capability) != 0) return;
}

Result<void> become(const std::string &user) {
    std::vector<char> buffer(16384);
    passwd entry{};
    passwd *found = nullptr;
    const int error = ::getpwnam_r(user.c_str(), &entry, buffer.data(), buffer.size(), &found);
    if (error != 0) return Error(error, "look up user", user);
    if (!found) return Error(0, "no such user", user);
    if (::initgroups(entry.pw_name, entry.pw_gid) != 0)
        return Error(errno, "set the groups of user", user);
    if (::setresgid(entry.pw_gid, entry.pw_gid, entry.pw_gid) != 0)
        return Error(errno, "set the group of user", user);
    if (::setresuid(entry.pw_uid, entry.pw_uid, entry.pw_uid) != 0)
        return Error(errno, "become user", user);
    return {};
}

Result<void> clear_capabilities() {
    ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    const __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {};
    if (::syscall(SYS_capset, &header, none) != 0) return Error(errno, "drop capabilities");
    return {};
}

} // namespace

Result<void> drop_privileges(const std::string &user) {
    empty_bounding_set();
    if (!user.empty())
        if (auto changed = become(user); !changed) return changed;
    if (auto cleared = clear_capabilities(); !cleared) return cleared;
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return Error(errno, "set no_new_privs");
    return {};
}

} // namespace sluice::host
