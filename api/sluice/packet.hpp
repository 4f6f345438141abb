// SPDX-License-Identifier: Apache-2.0
// Packets: views of what was indicated, and clones that a plugin keeps.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "classification.hpp"

namespace sluice {

// Bytes of somebody else, for as long as his list lives. A contiguous range: std::span takes it.
class Bytes {
public:
    Bytes() = default;
    Bytes(UINT8 *data, std::size_t size) : data_(data), size_(size) {}
    UINT8 *data() const noexcept { return data_; }
    std::size_t size() const noexcept { return size_; }
    bool empty() const noexcept { return size_ == 0; }
    UINT8 *begin() const noexcept { return data_; }
    UINT8 *end() const noexcept { return data_ + size_; }
    UINT8 &operator[](std::size_t at) const noexcept { return data_[at]; }

private:
    UINT8 *data_ = nullptr;
    std::size_t size_ = 0;
};

// The first packet of a list. Does not own it.
class PacketView {
public:
    explicit PacketView(NET_BUFFER_LIST &list) : list_(&list) {}

    UINT32 size() const noexcept { return buffer() ? NET_BUFFER_DATA_LENGTH(buffer()) : 0; }
    // The first bytes, where they lie in one piece; empty if there are fewer, or they do not. The
    // headers of an indicated packet always do.
    Bytes first(UINT32 bytes) const noexcept {
        if (!buffer()) return {};
        auto *at = static_cast<UINT8 *>(NdisGetDataBuffer(buffer(), bytes, nullptr, 1, 0));
        return at ? Bytes(at, bytes) : Bytes();
    }
    std::vector<UINT8> copy() const {
        std::vector<UINT8> out(size());
        if (out.empty()) return out;
        const void *at = NdisGetDataBuffer(buffer(), size(), out.data(), 1, 0);
        if (!at) throw Error(STATUS_UNSUCCESSFUL, "NdisGetDataBuffer");
        if (at != out.data()) __builtin_memcpy(out.data(), at, out.size());
        return out;
    }

private:
    NET_BUFFER *buffer() const noexcept { return NET_BUFFER_LIST_FIRST_NB(list_); }
    NET_BUFFER_LIST *list_;
};

// Moves the data's start towards earlier headers, and back at the end of the scope: an indicated
// list must be where it was when the lambda returns.
class Retreat {
public:
    Retreat(NET_BUFFER_LIST &list, UINT32 bytes) : list_(list), bytes_(bytes) {
        check(NdisRetreatNetBufferListDataStart(&list_, bytes_, 0, nullptr, nullptr),
              "NdisRetreatNetBufferListDataStart");
    }
    ~Retreat() { NdisAdvanceNetBufferListDataStart(&list_, bytes_, 1, nullptr); }
    Retreat(const Retreat &) = delete;
    Retreat &operator=(const Retreat &) = delete;

private:
    NET_BUFFER_LIST &list_;
    UINT32 bytes_;
};

// A clone that is freed with the object. Move-only; any thread; may outlive the classify.
class ClonedPacket {
public:
    ClonedPacket() = default;
    // From the current start of the list's data; `deep`: over a copy, which may be changed.
    explicit ClonedPacket(NET_BUFFER_LIST &list, bool deep = false) {
        check(deep ? FwpsAllocateDeepCloneNetBufferList0(&list, nullptr, nullptr, &list_)
                   : FwpsAllocateCloneNetBufferList0(&list, nullptr, nullptr, 0, &list_),
              "FwpsAllocateCloneNetBufferList0");
    }
    // Of an indicated inbound packet, from its IP header on, as receive injection wants it. Throws
    // where there is no packet, or no headers are known.
    static ClonedPacket from_ip_header(const Classification &indicated, bool deep = false) {
        if (!indicated.packets() || !indicated.has(FWPS_METADATA_FIELD_IP_HEADER_SIZE))
            throw Error(STATUS_NOT_FOUND, "from_ip_header");
        UINT32 bytes = indicated.metadata().ipHeaderSize;
        if (indicated.has(FWPS_METADATA_FIELD_TRANSPORT_HEADER_SIZE))
            bytes += indicated.metadata().transportHeaderSize;
        const Retreat retreat(*indicated.packets(), bytes);
        return ClonedPacket(*indicated.packets(), deep);
    }
    // Of a frame at a MAC layer, from its MAC header on.
    static ClonedPacket from_mac_header(const Classification &indicated, bool deep = false) {
        if (!indicated.packets()) throw Error(STATUS_NOT_FOUND, "from_mac_header");
        const auto &metadata = indicated.metadata();
        const bool behind = FWPS_IS_L2_METADATA_FIELD_PRESENT(
            &metadata, FWPS_L2_METADATA_FIELD_ETHERNET_MAC_HEADER_SIZE);
        if (!behind) return ClonedPacket(*indicated.packets(), deep);
        const Retreat retreat(*indicated.packets(), metadata.ethernetMacHeaderSize);
        return ClonedPacket(*indicated.packets(), deep);
    }
    ClonedPacket(ClonedPacket &&other) noexcept : list_(std::exchange(other.list_, nullptr)) {}
    ClonedPacket &operator=(ClonedPacket &&other) noexcept {
        if (this == &other) return *this;
        reset();
        list_ = std::exchange(other.list_, nullptr);
        return *this;
    }
    ~ClonedPacket() { reset(); }

    explicit operator bool() const noexcept { return list_ != nullptr; }
    NET_BUFFER_LIST *get() const noexcept { return list_; }
    PacketView view() const { return PacketView(*list_); }
    NET_BUFFER_LIST *release() noexcept { return std::exchange(list_, nullptr); }
    void reset() noexcept {
        if (list_) FwpsFreeCloneNetBufferList0(std::exchange(list_, nullptr), 0);
    }

private:
    NET_BUFFER_LIST *list_ = nullptr;
};

} // namespace sluice
