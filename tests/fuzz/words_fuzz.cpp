// SPDX-License-Identifier: Apache-2.0
// What a person types: every word is a value or an error that repeats it.
#include "cli/parse.h"
#include "fuzz.h"

using namespace sluice::cli;

namespace {

template <typename T>
void said(const sluice::Result<T> &result) {
    if (!result) FUZZ_MUST(!result.error().text().empty());
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    const std::string word(reinterpret_cast<const char *>(data), size);
    said(parse_weight(word));
    said(parse_layer(word));
    FilterWords words;
    words.layer = "ale_auth_connect_v6";
    words.action = "block";
    words.name = "fuzz";
    for (const char *field : {"remote_address", "remote_port", "protocol", "user", "app", "mac"}) {
        words.conditions = {{field, {word}}};
        said(parse_filter(words, {}));
    }
    words.conditions.clear();
    words.written = {word};
    said(parse_filter(words, {}));
    words.weight = word;
    said(parse_filter(words, {}));
    return 0;
}

std::vector<std::string> fuzz_seeds() {
    return {"10.0.0.0/8",
            "192.0.2.1-192.0.2.9",
            "fd00::/64",
            "::1",
            "fe80::1-fe80::2",
            "80",
            "80-443",
            "tcp",
            "auto",
            "15",
            "18446744073709551615",
            "ale_auth_connect_v4",
            "remote_port: {not: [22, 80-90]}",
            "inbound_ippacket_v6"};
}
