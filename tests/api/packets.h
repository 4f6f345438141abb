// SPDX-License-Identifier: Apache-2.0
// Pools, and memory to make packets over.
#pragma once

#include <array>
#include <cstring>
#include <numeric>

#include <sluice/fwp.h>

namespace sluice::test {

inline NET_BUFFER_LIST_POOL_PARAMETERS list_pool(BOOLEAN with_buffer, ULONG data) {
    NET_BUFFER_LIST_POOL_PARAMETERS p{};
    p.Header.Type = NDIS_OBJECT_TYPE_DEFAULT;
    p.Header.Revision = NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1;
    p.Header.Size = NDIS_SIZEOF_NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1;
    p.fAllocateNetBuffer = with_buffer;
    p.DataSize = data;
    return p;
}

struct Packets {
    static constexpr ULONG size = 64;

    Packets() {
        NET_BUFFER_LIST_POOL_PARAMETERS plain = list_pool(1, 0), with_data = list_pool(1, 64);
        NET_BUFFER_POOL_PARAMETERS buffers{};
        buffers.Header.Type = NDIS_OBJECT_TYPE_DEFAULT;
        buffers.Header.Revision = NET_BUFFER_POOL_PARAMETERS_REVISION_1;
        buffers.Header.Size = NDIS_SIZEOF_NET_BUFFER_POOL_PARAMETERS_REVISION_1;
        buffers.DataSize = 32;
        pool = NdisAllocateNetBufferListPool(nullptr, &plain);
        data_pool = NdisAllocateNetBufferListPool(nullptr, &with_data);
        buffer_pool = NdisAllocateNetBufferPool(nullptr, &buffers);
        std::iota(bytes.begin(), bytes.end(), UCHAR{1});
        piece.MappedSystemVa = piece.StartVa = bytes.data();
        piece.ByteCount = size;
    }
    ~Packets() {
        NdisFreeNetBufferListPool(pool);
        NdisFreeNetBufferListPool(data_pool);
        NdisFreeNetBufferPool(buffer_pool);
    }
    Packets(const Packets &) = delete;
    Packets &operator=(const Packets &) = delete;

    // The first bytes, one buffer.
    NET_BUFFER_LIST *list(ULONG length) {
        NET_BUFFER_LIST *made = nullptr;
        (void)FwpsAllocateNetBufferAndNetBufferList0(pool, 0, 0, &piece, 0, length, &made);
        return made;
    }
    // A UDP packet in IPv4 of 32 bytes.
    NET_BUFFER_LIST *udp_packet() {
        const UCHAR packet[32] = {0x45, 0, 0, 32, 0, 1, 0, 0,  64, 17, 0, 0, 10,  0,   0,   1,
                                  10,   0, 0, 2,  4, 0, 0, 53, 0,  12, 0, 0, 'a', 'b', 'c', 'd'};
        std::memcpy(bytes.data(), packet, sizeof packet);
        return list(sizeof packet);
    }

    NDIS_HANDLE pool = nullptr, data_pool = nullptr, buffer_pool = nullptr;
    std::array<UCHAR, size> bytes{};
    MDL piece{};
};

} // namespace sluice::test
