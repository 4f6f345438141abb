// SPDX-License-Identifier: Apache-2.0
// What there may be only one of: the daemon's lock and its listening socket; and the word to the
// service manager.
#pragma once

#include <string>

#include "core/fd.h"
#include "core/result.h"

namespace sluice::daemon {

// Makes the directory (0755) and takes the lock. EBUSY with one clear line if another sluiced has
// it.
Result<Fd> take_lock(const std::string &socket_path);
Result<Fd>
listen_at(const std::string &socket_path);     // mode 0666: rights are decided by peer credentials
void notify_service_manager(const char *text); // sd_notify; nothing without NOTIFY_SOCKET

} // namespace sluice::daemon
