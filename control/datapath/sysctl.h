// SPDX-License-Identifier: Apache-2.0
// Settings under /proc/sys/net, of the network namespace in which the calling thread is.
#pragma once

#include <string>

#include "core/result.h"

namespace sluice::datapath::sysctl {

Result<int> read(const std::string &key); // key as "net/ipv4/conf/lo/accept_local"
Result<void> write(const std::string &key, int value);

} // namespace sluice::datapath::sysctl
