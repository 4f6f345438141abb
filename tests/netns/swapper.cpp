// SPDX-License-Identifier: Apache-2.0
// swapper TIMES [torn]: puts policy A in force, says so, waits for a line, and swaps policies A and
// B TIMES times, each time in one transaction. torn: in two, one for each sublayer, so that a
// mixture of A and B is in force in between and whoever looks for one finds it.
//
// Each kind of traffic is a remote address 10.91.0.N and fd91::N (N in hexadecimal digits alike).
// 11 and 12: A and B both permit; with one's sublayer 1 and the other's sublayer 2 it is a block.
// 13 and 14 at ALE_AUTH_CONNECT, 15 and 16 at INBOUND_IPPACKET: both block, a mixture permits.
// The two of a pair differ in which of the two mixtures shows. 17: A permits, B blocks.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include <sluice.hpp>

using namespace sluice;

namespace {

enum class Say { permit_hard, block };

// What a sublayer of a policy holds: a filter with all of these addresses. Nothing matched: permit.
struct Row {
    int policy, sublayer;
    Say say;
    std::vector<UINT8> addresses;
};
const std::vector<Row> at_connect = {
    {0, 0, Say::permit_hard, {11}}, {0, 0, Say::block, {14}},     {0, 1, Say::block, {11, 13}},
    {1, 0, Say::permit_hard, {12}}, {1, 0, Say::block, {13, 17}}, {1, 1, Say::block, {12, 14}},
};
const std::vector<Row> inbound = {
    {0, 0, Say::permit_hard, {11}}, {0, 0, Say::block, {16}}, {0, 1, Say::block, {11, 15}},
    {1, 0, Say::permit_hard, {12}}, {1, 0, Say::block, {15}}, {1, 1, Say::block, {12, 16}},
};
const std::vector<Row> outbound = {
    {0, 0, Say::permit_hard, {11}},
    {0, 1, Say::block, {11}},
    {1, 0, Say::permit_hard, {12}},
    {1, 1, Say::block, {12}},
};

struct Place {
    const GUID &layer;
    bool v6;
    const std::vector<Row> &rows;
};
const Place places[] = {{FWPM_LAYER_ALE_AUTH_CONNECT_V4, false, at_connect},
                        {FWPM_LAYER_ALE_AUTH_CONNECT_V6, true, at_connect},
                        {FWPM_LAYER_INBOUND_IPPACKET_V4, false, inbound},
                        {FWPM_LAYER_OUTBOUND_TRANSPORT_V4, false, outbound}};

class Swapper {
public:
    Swapper() {
        engine_.add_sublayer(key(0), "swapped 1", 0x9000);
        engine_.add_sublayer(key(1), "swapped 2", 0x6000);
    }
    void put(int policy) {
        Transaction transaction(engine_);
        for (int sublayer : {0, 1})
            replace(sublayer, policy);
        transaction.commit();
    }
    void put_torn(int policy) {
        for (int sublayer : {0, 1}) {
            Transaction transaction(engine_);
            replace(sublayer, policy);
            transaction.commit();
        }
    }

private:
    static GUID key(int sublayer) {
        return key_from_name(sublayer == 0 ? "swapped 1" : "swapped 2");
    }
    void replace(int sublayer, int policy) {
        for (const UINT64 id : filters_[sublayer])
            engine_.remove_filter(id);
        filters_[sublayer].clear();
        for (const Place &place : places)
            for (const Row &row : place.rows)
                if (row.sublayer == sublayer && row.policy == policy) add(row, place);
    }
    void add(const Row &row, const Place &place) {
        Filter filter("swapped");
        filter.layer(place.layer).sublayer(key(row.sublayer));
        for (const UINT8 n : row.addresses) {
            if (place.v6)
                filter.remote(PrefixV6{{0xfd, 0x91, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
                                        UINT8(n / 10 * 16 + n % 10)}});
            else
                filter.remote(v4(10, 91, 0, n));
        }
        if (row.say == Say::block)
            filter.block();
        else
            filter.flags(FWPM_FILTER_FLAG_CLEAR_ACTION_RIGHT);
        filters_[row.sublayer].push_back(engine_.add(filter));
    }

    Engine engine_{"swapper"};
    std::vector<UINT64> filters_[2];
};

} // namespace

int main(int argc, char **argv) try {
    if (argc < 2) {
        std::fputs("usage: swapper TIMES [torn]\n", stderr);
        return 2;
    }
    const unsigned long times = std::strtoul(argv[1], nullptr, 10);
    const bool torn = argc > 2 && std::strcmp(argv[2], "torn") == 0;
    Swapper swapper;
    swapper.put(0);
    std::puts("ready");
    std::fflush(stdout);
    if (std::getchar() == EOF) return 1;
    for (unsigned long i = 1; i <= times; ++i)
        torn ? swapper.put_torn(int(i % 2)) : swapper.put(int(i % 2));
    std::puts("swapped");
} catch (const Error &error) {
    std::fprintf(stderr, "swapper: %s\n", error.what());
    return 1;
}
