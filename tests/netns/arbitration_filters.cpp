// SPDX-License-Identifier: Apache-2.0
// Adds the filters of the rows (arbitration_rows.h) on standard input to the engine, in three
// sublayers and one transaction. Each applies to its row's protocol and remote port only.
#include <cstdio>
#include <iostream>

#include <sluice.hpp>

#include "arbitration_rows.h"

using namespace arbitration;

namespace {

void add_to_engine(const std::vector<Combination> &all) {
    sluice::Engine engine("arbitration_table");
    sluice::Transaction transaction(engine);
    for (int place = 0; place < 3; ++place)
        engine.add_sublayer(sluice::key_from_name(sublayer_names[place]), sublayer_names[place],
                            sublayer_weights[place]);
    engine.add_callout(sluice::key_from_name("judge_n_v4"), "judge_n_v4",
                       FWPM_LAYER_ALE_AUTH_CONNECT_V4);
    engine.add_callout(sluice::key_from_name("judge_n_v6"), "judge_n_v6",
                       FWPM_LAYER_ALE_AUTH_CONNECT_V6);
    for (const Combination &c : all) {
        for (const Wanted &w : c.filters) {
            sluice::Filter filter("arbitration");
            filter
                .layer(c.family == 4 ? FWPM_LAYER_ALE_AUTH_CONNECT_V4
                                     : FWPM_LAYER_ALE_AUTH_CONNECT_V6)
                .sublayer(sluice::key_from_name(sublayer_names[w.place]));
            filter.weight(w.weight).flags(w.flags).context(w.context);
            filter.protocol(c.protocol).remote_port(c.port);
            if (!w.callout.empty())
                filter.callout(sluice::key_from_name(w.callout), w.action);
            else if (w.action == FWP_ACTION_BLOCK)
                filter.block();
            engine.add(filter);
        }
    }
    transaction.commit();
}

} // namespace

int main() try { add_to_engine(read(std::cin)); } catch (const std::exception &error) {
    std::fprintf(stderr, "arbitration_filters: %s\n", error.what());
    return 1;
}
