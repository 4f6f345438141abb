// SPDX-License-Identifier: Apache-2.0
// Text tables with aligned columns, for people.
#pragma once

#include <string>
#include <vector>

#include "protocol/sluice.pb.h"

namespace sluice::cli {

using Row = std::vector<std::string>;

// The first row is the heading. Numbers (all but the heading are digits) stand to the right.
std::string table(const std::vector<Row> &rows);
std::string age_text(std::uint64_t milliseconds); // 12.3s
std::string
readable(const std::string &text); // control characters replaced: a path may not steer the terminal

// In whose name a hop redirects: its name, or the key.
std::string chain_name(const protocol::RedirectHop &hop);

Row heading(const protocol::Nic *);
Row heading(const protocol::Plugin *);
Row heading(const protocol::Host *);
Row heading(const protocol::CalloutInfo *);
Row heading(const protocol::Filter *);
Row heading(const protocol::SubLayer *);
Row heading(const protocol::Hold *);
Row heading(const protocol::Redirect *);
Row heading(const protocol::Counter *);
Row row(const protocol::Nic &nic);
Row row(const protocol::Plugin &plugin);
Row row(const protocol::Host &host);
Row row(const protocol::CalloutInfo &callout);
Row row(const protocol::Filter &filter);
Row row(const protocol::SubLayer &sublayer);
Row row(const protocol::Hold &hold);
Row row(const protocol::Redirect &redirect);
Row row(const protocol::Counter &counter);

} // namespace sluice::cli
