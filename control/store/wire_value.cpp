// SPDX-License-Identifier: Apache-2.0
// The values of conditions and weights as messages and back.
#include <cstring>

#include "sluice/fwp.h"
#include "sluice/fwp_status.h"
#include "store/wire.h"

namespace sluice::store {

namespace {

template <std::size_t N>
Result<policy::Scalar> array_of(const std::string &data) {
    std::array<std::uint8_t, N> bytes{};
    if (data.size() != N)
        return Error::status(STATUS_FWP_TYPE_MISMATCH, "value of " + std::to_string(data.size()) +
                                                           " bytes where " + std::to_string(N) +
                                                           " are needed");
    std::memcpy(bytes.data(), data.data(), N);
    return policy::Scalar(bytes);
}

template <typename T>
Result<policy::Scalar> integer_of(std::uint64_t number) {
    if (static_cast<T>(number) != number)
        return Error::status(STATUS_FWP_OUT_OF_BOUNDS, "value too large for its type",
                             std::to_string(number));
    return policy::Scalar(static_cast<T>(number));
}

Result<policy::Scalar> v6_prefix_of(const protocol::Value &m) {
    policy::V6Prefix prefix;
    if (m.data().size() != prefix.address.size())
        return Error::status(STATUS_FWP_TYPE_MISMATCH, "IPv6 address is not of 16 bytes");
    if (m.mask() > 128)
        return Error::status(STATUS_FWP_INVALID_NET_MASK, "IPv6 prefix length",
                             std::to_string(m.mask()));
    std::memcpy(prefix.address.data(), m.data().data(), prefix.address.size());
    prefix.prefix = static_cast<std::uint8_t>(m.mask());
    return policy::Scalar(prefix);
}

// Names go into C strings of the kernel's: one that ends early would be another name.
Result<policy::Scalar> text_value(const std::string &utf8) {
    if (utf8.find('\0') != std::string::npos)
        return Error::status(STATUS_FWP_TYPE_MISMATCH, "text with a NUL inside", utf8.c_str());
    return policy::Scalar(policy::Text{utf8});
}

Result<policy::Scalar> scalar_of(const protocol::Value &m) {
    switch (m.type()) {
    case FWP_EMPTY:
        return policy::Scalar(std::monostate{});
    case FWP_UINT8:
        return integer_of<std::uint8_t>(m.number());
    case FWP_UINT16:
        return integer_of<std::uint16_t>(m.number());
    case FWP_UINT32:
        return integer_of<std::uint32_t>(m.number());
    case FWP_UINT64:
        return integer_of<std::uint64_t>(m.number());
    case FWP_BYTE_ARRAY16_TYPE:
        return array_of<16>(m.data());
    case FWP_BYTE_ARRAY6_TYPE:
        return array_of<6>(m.data());
    case FWP_BYTE_BLOB_TYPE:
        return policy::Scalar(policy::Blob{m.data()});
    case FWP_UNICODE_STRING_TYPE:
        return text_value(m.data());
    case FWP_SID:
        return policy::Scalar(policy::Sid{m.data()});
    case FWP_SECURITY_DESCRIPTOR_TYPE:
        return policy::Scalar(policy::SecurityDescriptor{m.data()});
    case FWP_V4_ADDR_MASK:
        return policy::Scalar(policy::V4Mask{static_cast<std::uint32_t>(m.number()), m.mask()});
    case FWP_V6_ADDR_MASK:
        return v6_prefix_of(m);
    default:
        return Error::status(STATUS_FWP_TYPE_MISMATCH, "values of this type are not supported",
                             std::to_string(m.type()));
    }
}

template <std::size_t N>
std::string text_of(const std::array<std::uint8_t, N> &bytes) {
    return {reinterpret_cast<const char *>(bytes.data()), N};
}

// One overload an alternative of policy::Scalar.
struct ScalarWriter {
    protocol::Value &m;
    void operator()(std::monostate) const { m.set_type(FWP_EMPTY); }
    void operator()(std::uint8_t v) const { number(FWP_UINT8, v); }
    void operator()(std::uint16_t v) const { number(FWP_UINT16, v); }
    void operator()(std::uint32_t v) const { number(FWP_UINT32, v); }
    void operator()(std::uint64_t v) const { number(FWP_UINT64, v); }
    void operator()(const policy::Bytes16 &v) const { data(FWP_BYTE_ARRAY16_TYPE, text_of(v)); }
    void operator()(const policy::Bytes6 &v) const { data(FWP_BYTE_ARRAY6_TYPE, text_of(v)); }
    void operator()(const policy::Blob &v) const { data(FWP_BYTE_BLOB_TYPE, v.bytes); }
    void operator()(const policy::Text &v) const { data(FWP_UNICODE_STRING_TYPE, v.utf8); }
    void operator()(const policy::Sid &v) const { data(FWP_SID, v.bytes); }
    void operator()(const policy::SecurityDescriptor &v) const {
        data(FWP_SECURITY_DESCRIPTOR_TYPE, v.bytes);
    }
    void operator()(const policy::V4Mask &v) const {
        number(FWP_V4_ADDR_MASK, v.address);
        m.set_mask(v.mask);
    }
    void operator()(const policy::V6Prefix &v) const {
        data(FWP_V6_ADDR_MASK, text_of(v.address));
        m.set_mask(v.prefix);
    }
    void number(std::uint32_t type, std::uint64_t value) const {
        m.set_type(type);
        m.set_number(value);
    }
    void data(std::uint32_t type, std::string bytes) const {
        m.set_type(type);
        m.set_data(std::move(bytes));
    }
};

void write_scalar(const policy::Scalar &scalar, protocol::Value &m) {
    std::visit(ScalarWriter{m}, scalar);
}

} // namespace

Result<policy::Value> from_message(const protocol::Value &m) {
    if (m.type() != FWP_RANGE_TYPE) {
        auto scalar = scalar_of(m);
        if (!scalar) return scalar.error();
        return policy::Value(std::move(*scalar));
    }
    auto low = scalar_of(m.low());
    if (!low) return low.error();
    auto high = scalar_of(m.high());
    if (!high) return high.error();
    return policy::Value(policy::Range{std::move(*low), std::move(*high)});
}

protocol::Value to_message(const policy::Value &value) {
    protocol::Value m;
    write_message(value, m);
    return m;
}

void write_message(const policy::Value &value, protocol::Value &m) {
    if (const auto *scalar = std::get_if<policy::Scalar>(&value)) return write_scalar(*scalar, m);
    const auto &range = std::get<policy::Range>(value);
    m.set_type(FWP_RANGE_TYPE);
    write_scalar(range.low, *m.mutable_low());
    write_scalar(range.high, *m.mutable_high());
}

} // namespace sluice::store
