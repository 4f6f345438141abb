// SPDX-License-Identifier: Apache-2.0
#include <cstring>

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/filter_object.h"
#include "runtime/indication.h"
#include "runtime/text.h"

using namespace sluice::runtime;

namespace {

Upcall connect_v4(std::uint8_t protocol) {
    Upcall u;
    dp_upcall &h = u.header;
    h.layer = FWPS_LAYER_ALE_AUTH_CONNECT_V4;
    h.flow = h.ticket = 5;
    h.compartment = 3;
    h.ifindex = 7;
    h.ip_offset = 14;
    h.l4_offset = 34;
    h.key.protocol = protocol;
    h.key.local = {0, 0xFFFF0A000001ull};
    h.key.remote = {0, 0xFFFFE0000001ull};
    h.key.local_port = 1024;
    h.key.remote_port = 53;
    h.process.tgid = 42;
    h.process.uid = 1000;
    u.path = "/usr/bin/cürl";
    return u;
}

// Ethernet, IPv4 of 20 + 8 + 4 bytes, and two bytes of padding behind.
std::vector<std::byte> packet() {
    std::vector<std::byte> p(14 + 32 + 2);
    p[14] = std::byte{0x45};
    p[17] = std::byte{32};
    p[14 + 12] = std::byte{192};
    p[14 + 16] = std::byte{10};
    return p;
}

const FWP_VALUE0 &field(const Indication &in, unsigned index) {
    return in.values()->incomingValue[index].value;
}

} // namespace

TEST(Indication, FillsTheFieldsThatAreKnownAndLeavesTheRestEmpty) {
    const Upcall u = connect_v4(17);
    auto bytes = packet();
    Indication in(u, bytes, {});
    EXPECT_EQ(in.values()->layerId, FWPS_LAYER_ALE_AUTH_CONNECT_V4);
    EXPECT_EQ(in.values()->valueCount, 42u);
    EXPECT_EQ(field(in, FWPS_FIELD_ALE_AUTH_CONNECT_V4_IP_LOCAL_ADDRESS).uint32, 0x0A000001u);
    EXPECT_EQ(field(in, FWPS_FIELD_ALE_AUTH_CONNECT_V4_IP_REMOTE_PORT).uint16, 53);
    EXPECT_EQ(field(in, FWPS_FIELD_ALE_AUTH_CONNECT_V4_IP_PROTOCOL).uint8, 17);
    EXPECT_EQ(field(in, FWPS_FIELD_ALE_AUTH_CONNECT_V4_INTERFACE_INDEX).uint32, 7u);
    EXPECT_EQ(field(in, FWPS_FIELD_ALE_AUTH_CONNECT_V4_COMPARTMENT_ID).uint32, 3u);
    EXPECT_EQ(field(in, FWPS_FIELD_ALE_AUTH_CONNECT_V4_IP_DESTINATION_ADDRESS_TYPE).uint8,
              3); // multicast
    EXPECT_EQ(field(in, FWPS_FIELD_ALE_AUTH_CONNECT_V4_PEER_NAME).type, FWP_EMPTY);
    const auto &app = field(in, FWPS_FIELD_ALE_AUTH_CONNECT_V4_ALE_APP_ID);
    ASSERT_EQ(app.type, FWP_BYTE_BLOB_TYPE);
    EXPECT_EQ(app.byteBlob->size,
              2 * (u.path.size() - 1 + 1)); // one letter is two bytes in UTF-8; and the zero
    EXPECT_EQ(to_utf8(reinterpret_cast<const WCHAR *>(app.byteBlob->data)), u.path);
    const auto &user = field(in, FWPS_FIELD_ALE_AUTH_CONNECT_V4_ALE_USER_ID);
    ASSERT_EQ(user.type, FWP_TOKEN_ACCESS_INFORMATION_TYPE);
    std::uint32_t uid = 0;
    std::memcpy(&uid, user.tokenAccessInformation->data + 12, sizeof uid);
    EXPECT_EQ(uid, 1000u);
    EXPECT_EQ(in.metadata()->processId, 42u);
    EXPECT_EQ(in.metadata()->flowHandle, (2ull << 40) + 5); // unique over compartments
    EXPECT_EQ(in.metadata()->compartmentId, 3u);
}

TEST(Indication, AnInterfaceIsWhatItIsToFilters) {
    Upcall u = connect_v4(17);
    u.header.interface_type = 131;
    u.header.tunnel_type = 2;
    const UINT64 luid = UINT64{131} << 48 | UINT64{7} << 24;
    Indication out(u, {}, {});
    EXPECT_EQ(*field(out, FWPS_FIELD_ALE_AUTH_CONNECT_V4_IP_LOCAL_INTERFACE).uint64, luid);
    EXPECT_EQ(field(out, FWPS_FIELD_ALE_AUTH_CONNECT_V4_INTERFACE_TYPE).uint32, 131u);
    EXPECT_EQ(field(out, FWPS_FIELD_ALE_AUTH_CONNECT_V4_TUNNEL_TYPE).uint32, 2u);
    EXPECT_EQ(*field(out, FWPS_FIELD_ALE_AUTH_CONNECT_V4_IP_NEXTHOP_INTERFACE).uint64, luid);
    EXPECT_EQ(field(out, FWPS_FIELD_ALE_AUTH_CONNECT_V4_NEXTHOP_INTERFACE_TYPE).uint32, 131u);
    EXPECT_EQ(field(out, FWPS_FIELD_ALE_AUTH_CONNECT_V4_NEXTHOP_TUNNEL_TYPE).uint32, 2u);
    EXPECT_EQ(field(out, FWPS_FIELD_ALE_AUTH_CONNECT_V4_IP_ARRIVAL_INTERFACE).type, FWP_EMPTY);
    EXPECT_EQ(field(out, FWPS_FIELD_ALE_AUTH_CONNECT_V4_ARRIVAL_INTERFACE_TYPE).type, FWP_EMPTY);
    u.header.direction = DP_DIRECTION_INBOUND;
    u.header.layer = FWPS_LAYER_INBOUND_IPPACKET_V6;
    Indication in(u, {}, {});
    EXPECT_EQ(*field(in, FWPS_FIELD_INBOUND_IPPACKET_V6_IP_LOCAL_INTERFACE).uint64, luid);
    EXPECT_EQ(field(in, FWPS_FIELD_INBOUND_IPPACKET_V6_INTERFACE_TYPE).uint32, 131u);
    u.header.layer = FWPS_LAYER_ALE_AUTH_LISTEN_V4;
    u.header.ifindex = u.header.interface_type = 0;
    Indication listening(u, {}, {});
    EXPECT_EQ(field(listening, FWPS_FIELD_ALE_AUTH_LISTEN_V4_IP_LOCAL_INTERFACE).type, FWP_EMPTY);
    EXPECT_EQ(field(listening, FWPS_FIELD_ALE_AUTH_LISTEN_V4_INTERFACE_TYPE).type, FWP_EMPTY);
}

TEST(Indication, DataBeginsAtTheTransportHeaderAndEndsBeforeThePadding) {
    const Upcall u = connect_v4(17);
    auto bytes = packet();
    Indication in(u, bytes, {});
    ASSERT_NE(in.layer_data(), nullptr);
    const NET_BUFFER *buffer = in.layer_data()->FirstNetBuffer;
    EXPECT_EQ(buffer->DataLength, 12u);
    EXPECT_EQ(buffer->CurrentMdlOffset, 34u);
    EXPECT_EQ(buffer->CurrentMdl->MappedSystemVa, bytes.data());
    EXPECT_EQ(in.metadata()->ipHeaderSize, 0u);
    EXPECT_FALSE(in.metadata()->currentMetadataValues & FWPS_METADATA_FIELD_IP_HEADER_SIZE);
    EXPECT_EQ(in.metadata()->transportHeaderSize, 8u);
}

TEST(Indication, InboundDataBeginsBehindTheHeadersWhichARetreatReaches) {
    Upcall u = connect_v4(17);
    u.header.layer = FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V4;
    u.header.direction = DP_DIRECTION_INBOUND;
    u.header.endpoint = 9;
    u.header.parent = 8;
    auto bytes = packet();
    bytes[14 + 20] = std::byte{0x99};
    Indication in(u, bytes, {});
    NET_BUFFER &buffer = *in.layer_data()->FirstNetBuffer;
    EXPECT_EQ(buffer.CurrentMdlOffset, 42u);
    EXPECT_EQ(buffer.DataLength, 4u);
    const auto &m = *in.metadata();
    ASSERT_EQ(retreat(buffer, m.ipHeaderSize + m.transportHeaderSize, 0, nullptr),
              NDIS_STATUS_SUCCESS);
    EXPECT_EQ(*static_cast<std::byte *>(contiguous(buffer, 28, nullptr, 1, 0)), std::byte{0x45});
    EXPECT_EQ(m.transportEndpointHandle, 9u);
    EXPECT_EQ(m.parentEndpointHandle, 8u);
}

TEST(Indication, AnInboundIcmpMessageIsTheData) {
    Upcall u = connect_v4(1);
    u.header.layer = FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V4;
    u.header.direction = DP_DIRECTION_INBOUND;
    auto bytes = packet();
    Indication in(u, bytes, {});
    EXPECT_EQ(in.layer_data()->FirstNetBuffer->CurrentMdlOffset, 34u);
    EXPECT_EQ(in.metadata()->ipHeaderSize, 20u);
    EXPECT_EQ(in.metadata()->transportHeaderSize, 0u);
}

TEST(Indication, ATcpSynIsShownToTheReceiver) {
    Upcall u = connect_v4(6);
    u.header.layer = FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V4;
    u.header.direction = DP_DIRECTION_INBOUND;
    std::vector<std::byte> bytes(14 + 20 + 24);
    bytes[14] = std::byte{0x45};
    bytes[17] = std::byte{44};
    bytes[14 + 20 + 12] = std::byte{0x60}; // with four bytes of options
    Indication in(u, bytes, {});
    ASSERT_NE(in.layer_data(), nullptr);
    EXPECT_EQ(in.metadata()->transportHeaderSize, 24u);
    EXPECT_EQ(in.layer_data()->FirstNetBuffer->DataLength, 0u);
}

TEST(Indication, OutboundPacketsBeginWithTheirIpHeaderAtTheIpLayer) {
    Upcall u = connect_v4(17);
    u.header.layer = FWPS_LAYER_OUTBOUND_IPPACKET_V4;
    u.header.flow = 0;
    auto bytes = packet();
    Indication in(u, bytes, {});
    EXPECT_EQ(in.layer_data()->FirstNetBuffer->CurrentMdlOffset, 14u);
    EXPECT_EQ(in.layer_data()->FirstNetBuffer->DataLength, 32u);
    EXPECT_EQ(in.metadata()->ipHeaderSize, 20u);
}

TEST(Indication, AnInboundErrorsDataIsWhatItQuotes) {
    Upcall u = connect_v4(1);
    u.header.layer = FWPS_LAYER_INBOUND_ICMP_ERROR_V4;
    u.header.flow = 0;
    u.header.direction = DP_DIRECTION_INBOUND;
    auto quoted = packet(); // from 192.0.0.0 to 10.0.0.0
    quoted[14 + 9] = std::byte{17};
    quoted[14 + 20 + 1] = std::byte{7}; // ports
    quoted[14 + 20 + 3] = std::byte{9};
    auto bytes = packet();
    bytes[17] = std::byte{28 + 32};
    bytes[34] = std::byte{3}; // type, and code
    bytes[35] = std::byte{1};
    bytes.resize(14 + 28);
    bytes.insert(bytes.end(), quoted.begin() + 14, quoted.begin() + 14 + 32);
    Indication in(u, bytes, {});
    NET_BUFFER &buffer = *in.layer_data()->FirstNetBuffer;
    EXPECT_EQ(buffer.CurrentMdlOffset, 14u + 28);
    EXPECT_EQ(buffer.DataLength, 32u);
    EXPECT_EQ(in.metadata()->ipHeaderSize, 28u) << "a retreat by it alone reaches the beginning";
    EXPECT_EQ(in.metadata()->transportHeaderSize, 0u);
    EXPECT_EQ(field(in, FWPS_FIELD_INBOUND_ICMP_ERROR_V4_ICMP_TYPE).uint16, 3);
    EXPECT_EQ(field(in, FWPS_FIELD_INBOUND_ICMP_ERROR_V4_ICMP_CODE).uint16, 1);
    EXPECT_EQ(field(in, FWPS_FIELD_INBOUND_ICMP_ERROR_V4_EMBEDDED_PROTOCOL).uint8, 17);
    EXPECT_EQ(field(in, FWPS_FIELD_INBOUND_ICMP_ERROR_V4_EMBEDDED_REMOTE_ADDRESS).uint32,
              0x0A000000u);
    EXPECT_EQ(field(in, FWPS_FIELD_INBOUND_ICMP_ERROR_V4_EMBEDDED_LOCAL_ADDRESS_TYPE).uint8, 1);
    EXPECT_EQ(field(in, FWPS_FIELD_INBOUND_ICMP_ERROR_V4_EMBEDDED_LOCAL_PORT).uint16, 7);
    EXPECT_EQ(field(in, FWPS_FIELD_INBOUND_ICMP_ERROR_V4_EMBEDDED_REMOTE_PORT).uint16, 9);
}

// Whatever an error quotes: what is not there is empty.
TEST(Indication, AnErrorThatQuotesLittleLeavesFieldsEmpty) {
    Upcall u = connect_v4(1);
    u.header.layer = FWPS_LAYER_INBOUND_ICMP_ERROR_V4;
    u.header.flow = 0;
    u.header.direction = DP_DIRECTION_INBOUND;
    for (std::size_t more = 0; more <= 24; ++more) {
        auto bytes = packet();
        bytes[17] = static_cast<std::byte>(28 + more);
        bytes.resize(14 + 28);
        if (more) bytes.push_back(std::byte{0x45});
        bytes.resize(14 + 28 + more);
        if (more > 9) bytes[14 + 28 + 9] = std::byte{6};
        Indication in(u, bytes, {});
        EXPECT_EQ(in.layer_data()->FirstNetBuffer->DataLength, more);
        EXPECT_EQ(field(in, FWPS_FIELD_INBOUND_ICMP_ERROR_V4_EMBEDDED_PROTOCOL).type,
                  more < 20 ? FWP_EMPTY : FWP_UINT8);
        EXPECT_EQ(field(in, FWPS_FIELD_INBOUND_ICMP_ERROR_V4_EMBEDDED_REMOTE_PORT).type,
                  more < 24 ? FWP_EMPTY : FWP_UINT16);
    }
}

TEST(Indication, ALaterFragmentHasNoTransportHeader) {
    Upcall u = connect_v4(17);
    u.header.layer = FWPS_LAYER_INBOUND_TRANSPORT_V4;
    u.header.direction = DP_DIRECTION_INBOUND;
    u.header.l4_offset = 0;
    u.header.condition_flags = FWP_CONDITION_FLAG_IS_FRAGMENT;
    auto bytes = packet();
    bytes[14 + 7] = std::byte{2};
    Indication in(u, bytes, {});
    EXPECT_EQ(in.layer_data()->FirstNetBuffer->CurrentMdlOffset, 34u);
    EXPECT_EQ(in.metadata()->transportHeaderSize, 0u);
    EXPECT_EQ(in.metadata()->fragmentMetadata.fragmentOffset, 16u);
}

TEST(Indication, AnIpv6FragmentSaysWhichItIs) {
    Upcall u = connect_v4(17);
    u.header.layer = FWPS_LAYER_INBOUND_IPPACKET_V6;
    u.header.direction = DP_DIRECTION_INBOUND;
    u.header.l4_offset = 0;
    u.header.condition_flags = FWP_CONDITION_FLAG_IS_FRAGMENT;
    std::vector<std::byte> bytes(14 + 40 + 16 + 8);
    auto *ip = bytes.data() + 14;
    ip[0] = std::byte{0x60};
    ip[5] = std::byte{24};
    ip[6] = std::byte{60}; // options, and behind them the fragment header
    ip[40] = std::byte{44};
    ip[48] = std::byte{17};
    ip[50] = std::byte{0x05};
    ip[51] = std::byte{0xA9}; // offset 1448, more follow
    ip[55] = std::byte{77};
    Indication in(u, bytes, {});
    const auto &m = *in.metadata();
    EXPECT_TRUE(m.currentMetadataValues & FWPS_METADATA_FIELD_FRAGMENT_DATA);
    EXPECT_EQ(m.fragmentMetadata.fragmentIdentification, 77u);
    EXPECT_EQ(m.fragmentMetadata.fragmentOffset, 1448u);
    EXPECT_EQ(m.fragmentMetadata.fragmentLength, 64u);
    ip[41] = std::byte{9}; // options longer than the packet
    Indication cut(u, bytes, {});
    EXPECT_FALSE(cut.metadata()->currentMetadataValues & FWPS_METADATA_FIELD_FRAGMENT_DATA);
}

TEST(Indication, ATcpConnectHasNoPacket) {
    const Upcall u = connect_v4(6);
    auto bytes = packet();
    Indication in(u, bytes, {});
    EXPECT_EQ(in.layer_data(), nullptr);
}

TEST(Indication, AnUnknownProcessIsEmptyNotZero) {
    Upcall u = connect_v4(17);
    u.header.process = {};
    u.path.clear();
    auto bytes = packet();
    Indication in(u, bytes, {});
    EXPECT_EQ(field(in, FWPS_FIELD_ALE_AUTH_CONNECT_V4_ALE_APP_ID).type, FWP_EMPTY);
    EXPECT_EQ(field(in, FWPS_FIELD_ALE_AUTH_CONNECT_V4_ALE_USER_ID).type, FWP_EMPTY);
    EXPECT_FALSE(in.metadata()->currentMetadataValues & FWPS_METADATA_FIELD_PROCESS_ID);
    EXPECT_FALSE(in.metadata()->currentMetadataValues & FWPS_METADATA_FIELD_PROCESS_PATH);
}

TEST(Indication, InboundPacketsTakeTheirAddressesFromThePacket) {
    Upcall u = connect_v4(17);
    u.header.layer = FWPS_LAYER_INBOUND_IPPACKET_V4;
    u.header.flow = 0;
    u.header.direction = DP_DIRECTION_INBOUND;
    auto bytes = packet();
    Indication in(u, bytes, {});
    EXPECT_EQ(field(in, FWPS_FIELD_INBOUND_IPPACKET_V4_IP_LOCAL_ADDRESS).uint32, 0x0A000000u);
    EXPECT_EQ(field(in, FWPS_FIELD_INBOUND_IPPACKET_V4_IP_REMOTE_ADDRESS).uint32, 0xC0000000u);
    EXPECT_FALSE(in.metadata()->currentMetadataValues & FWPS_METADATA_FIELD_FLOW_HANDLE);
}

TEST(Indication, AV6AddressIsInNetworkOrder) {
    Upcall u = connect_v4(17);
    u.header.layer = FWPS_LAYER_ALE_AUTH_CONNECT_V6;
    u.header.key.remote = {0x20010db800000000ull, 1};
    std::vector<std::byte> bytes(14 + 48);
    Indication in(u, bytes, {});
    const auto &v = field(in, FWPS_FIELD_ALE_AUTH_CONNECT_V6_IP_REMOTE_ADDRESS);
    ASSERT_EQ(v.type, FWP_BYTE_ARRAY16_TYPE);
    EXPECT_EQ(v.byteArray16->byteArray16[0], 0x20);
    EXPECT_EQ(v.byteArray16->byteArray16[15], 1);
}

TEST(Indication, TruncatedPacketsAreShownWithoutData) {
    const Upcall u = connect_v4(17);
    const auto whole = packet();
    for (std::size_t size = 0; size < 34; ++size) {
        std::vector<std::byte> bytes(whole.begin(),
                                     whole.begin() + static_cast<std::ptrdiff_t>(size));
        Indication in(u, bytes, {});
        EXPECT_EQ(in.layer_data(), nullptr) << size;
    }
}

TEST(Indication, WhatItsWayTakesAndWhatAleHasStillToJudgeAreMetadata) {
    Upcall u = connect_v4(17);
    auto bytes = packet();
    u.header.layer = FWPS_LAYER_OUTBOUND_IPPACKET_V4;
    const auto has = [&](UINT32 field) {
        Indication in(u, bytes, {});
        return (in.metadata()->currentMetadataValues & field) != 0;
    };
    EXPECT_FALSE(has(FWPS_METADATA_FIELD_PATH_MTU));
    u.header.path_mtu = 1300;
    EXPECT_TRUE(has(FWPS_METADATA_FIELD_PATH_MTU));
    EXPECT_EQ(Indication(u, bytes, {}).metadata()->pathMtu, 1300u);
    u.header.path_mtu = 0;
    u.header.layer = FWPS_LAYER_INBOUND_TRANSPORT_V4;
    EXPECT_FALSE(has(FWPS_METADATA_FIELD_ALE_CLASSIFY_REQUIRED));
    u.header.flags |= DP_UPCALL_ALE_FOLLOWS;
    EXPECT_TRUE(has(FWPS_METADATA_FIELD_ALE_CLASSIFY_REQUIRED));
}

TEST(Indication, ControlDataSaysWhatTheHeaderSays) {
    Upcall u = connect_v4(17);
    auto bytes = packet();
    bytes[15] = std::byte{0x2E};
    bytes[14 + 8] = std::byte{33};
    for (const bool v6 : {false, true}) {
        if (v6) {
            bytes.assign(14 + 40 + 12, std::byte{});
            bytes[14] = std::byte{0x62};
            bytes[15] = std::byte{0xE0};
            bytes[14 + 5] = std::byte{12};
            bytes[14 + 6] = std::byte{17};
            bytes[14 + 7] = std::byte{33};
            u.header.l4_offset = 54;
        }
        for (const std::uint16_t layer :
             {FWPS_LAYER_OUTBOUND_TRANSPORT_V4, FWPS_LAYER_DATAGRAM_DATA_V4,
              FWPS_LAYER_INBOUND_TRANSPORT_V4, FWPS_LAYER_OUTBOUND_IPPACKET_V4}) {
            u.header.layer = static_cast<std::uint16_t>(layer + (v6 ? 2 : 0));
            u.header.direction = layer == FWPS_LAYER_INBOUND_TRANSPORT_V4 ? DP_DIRECTION_INBOUND
                                                                          : DP_DIRECTION_OUTBOUND;
            const Indication in(u, bytes, {});
            const auto &m = *in.metadata();
            const bool there =
                layer == FWPS_LAYER_OUTBOUND_TRANSPORT_V4 || layer == FWPS_LAYER_DATAGRAM_DATA_V4;
            ASSERT_EQ(
                FWPS_IS_METADATA_FIELD_PRESENT(&m, FWPS_METADATA_FIELD_TRANSPORT_CONTROL_DATA),
                there);
            IpHeader header;
            header.v6 = v6;
            ASSERT_TRUE(read_control(m.controlData, m.controlDataLength, header));
            EXPECT_EQ(header.hop_limit, there ? 33 : 64);
            EXPECT_EQ(header.traffic_class, there ? 0x2E : 0);
        }
    }
    u.header.layer = FWPS_LAYER_DATAGRAM_DATA_V6;
    u.header.direction = DP_DIRECTION_INBOUND;
    EXPECT_EQ(Indication(u, bytes, {}).metadata()->controlData, nullptr);
}

TEST(Indication, EndpointsAreToldWhereTheLayerHasThem) {
    Upcall u = connect_v4(17);
    u.header.endpoint = 77;
    u.header.parent = 66;
    auto bytes = packet();
    for (const auto layer :
         {FWPS_LAYER_ALE_AUTH_CONNECT_V4, FWPS_LAYER_ALE_AUTH_RECV_ACCEPT_V4,
          FWPS_LAYER_ALE_FLOW_ESTABLISHED_V4, FWPS_LAYER_ALE_ENDPOINT_CLOSURE_V4}) {
        u.header.layer = std::uint16_t(layer);
        Indication in(u, bytes, {});
        EXPECT_EQ(in.metadata()->transportEndpointHandle, 77u) << layer;
        EXPECT_EQ(in.metadata()->parentEndpointHandle, 66u) << layer;
    }
    for (const auto layer : {FWPS_LAYER_ALE_RESOURCE_ASSIGNMENT_V4, FWPS_LAYER_ALE_AUTH_LISTEN_V4,
                             FWPS_LAYER_ALE_RESOURCE_RELEASE_V4, FWPS_LAYER_DATAGRAM_DATA_V4}) {
        u.header.layer = std::uint16_t(layer);
        Indication in(u, bytes, {});
        EXPECT_EQ(in.metadata()->transportEndpointHandle, 77u) << layer;
        EXPECT_FALSE(in.metadata()->currentMetadataValues &
                     FWPS_METADATA_FIELD_PARENT_ENDPOINT_HANDLE)
            << layer;
    }
    u.header.layer = FWPS_LAYER_INBOUND_IPPACKET_V4;
    Indication in(u, bytes, {});
    EXPECT_EQ(in.metadata()->transportEndpointHandle, 0u);
}

TEST(Indication, AnEchoHasItsTypeWhereOthersHavePorts) {
    Upcall u = connect_v4(1);
    auto bytes = packet();
    bytes[34] = std::byte{8};
    bytes[38] = std::byte{0x12};
    bytes[41] = std::byte{3};
    Indication in(u, bytes, {});
    EXPECT_EQ(field(in, FWPS_FIELD_ALE_AUTH_CONNECT_V4_IP_LOCAL_PORT).uint16, 8);
    EXPECT_EQ(field(in, FWPS_FIELD_ALE_AUTH_CONNECT_V4_IP_REMOTE_PORT).uint16, 0);
    EXPECT_EQ(field(in, FWPS_FIELD_ALE_AUTH_CONNECT_V4_ORIGINAL_ICMP_TYPE).uint16, 8);
    EXPECT_EQ(in.metadata()->icmpIdAndSequence, 0x12000003u);
}

// The header says the flow's direction, the packet that establishes it may run against that.
TEST(Indication, AnAnsweringPacketsDataBeginsBehindItsHeader) {
    Upcall u = connect_v4(17);
    u.header.layer = FWPS_LAYER_ALE_FLOW_ESTABLISHED_V4;
    u.header.key.remote = {0, 0xFFFFC0000000ull}; // where the packet comes from
    u.header.key.local = {0, 0xFFFF0A000000ull};
    auto bytes = packet();
    Indication in(u, bytes, {});
    EXPECT_EQ(in.layer_data()->FirstNetBuffer->CurrentMdlOffset, 42u);
    EXPECT_EQ(field(in, FWPS_FIELD_ALE_FLOW_ESTABLISHED_V4_DIRECTION).uint32,
              UINT32(FWP_DIRECTION_OUTBOUND));
}

TEST(Indication, WildcardsAndMissingPeersAreEmpty) {
    Upcall u = connect_v4(6);
    u.header.layer = FWPS_LAYER_ALE_ENDPOINT_CLOSURE_V4;
    u.header.flow = 0;
    u.header.endpoint = 5;
    u.header.key.local = u.header.key.remote = {0, 0xFFFF00000000ull};
    u.header.key.remote_port = 0;
    Indication in(u, {}, {});
    EXPECT_EQ(field(in, FWPS_FIELD_ALE_ENDPOINT_CLOSURE_V4_IP_LOCAL_ADDRESS).type, FWP_EMPTY);
    EXPECT_EQ(field(in, FWPS_FIELD_ALE_ENDPOINT_CLOSURE_V4_IP_REMOTE_ADDRESS).type, FWP_EMPTY);
    EXPECT_EQ(field(in, FWPS_FIELD_ALE_ENDPOINT_CLOSURE_V4_IP_REMOTE_PORT).type, FWP_EMPTY);
    EXPECT_EQ(field(in, FWPS_FIELD_ALE_ENDPOINT_CLOSURE_V4_IP_LOCAL_PORT).uint16, 1024);
    EXPECT_EQ(in.layer_data(), nullptr);
}

TEST(Indication, ALinkLocalPeerHasAScope) {
    Upcall u = connect_v4(17);
    u.header.layer = FWPS_LAYER_ALE_AUTH_CONNECT_V6;
    u.header.key.remote = {0xFE80000000000000ull, 1};
    Indication in(u, {}, {});
    EXPECT_EQ(in.metadata()->remoteScopeId.Zone, 7u);
    EXPECT_TRUE(in.metadata()->currentMetadataValues & FWPS_METADATA_FIELD_REMOTE_SCOPE_ID);
}

TEST(FilterObject, ShowsTheFilterAsItWasAdded) {
    sluice::protocol::Filter f;
    f.set_id(9);
    f.set_layer(FWPS_LAYER_ALE_AUTH_CONNECT_V4);
    f.set_flags(FWPM_FILTER_FLAG_PERMIT_IF_CALLOUT_UNREGISTERED);
    f.set_action(FWP_ACTION_CALLOUT_TERMINATING);
    f.set_raw_context(4711);
    auto &c = *f.add_conditions();
    c.set_field(&FWPM_CONDITION_IP_REMOTE_PORT, 16);
    c.set_match(FWP_MATCH_RANGE);
    c.mutable_value()->set_type(FWP_RANGE_TYPE);
    c.mutable_value()->mutable_low()->set_type(FWP_UINT16);
    c.mutable_value()->mutable_low()->set_number(80);
    c.mutable_value()->mutable_high()->set_type(FWP_UINT16);
    c.mutable_value()->mutable_high()->set_number(90);
    FilterObject object(f, 3);
    const auto *seen = object.as<FWPS_FILTER1>();
    EXPECT_EQ(seen->context, 4711u);
    EXPECT_EQ(seen->action.calloutId, 3u);
    EXPECT_TRUE(object.permit_if_unregistered());
    ASSERT_EQ(seen->numFilterConditions, 1u);
    EXPECT_EQ(seen->filterCondition[0].fieldId, FWPS_FIELD_ALE_AUTH_CONNECT_V4_IP_REMOTE_PORT);
    EXPECT_EQ(seen->filterCondition[0].conditionValue.rangeValue->valueHigh.uint16, 90);
}

TEST(Text, SurvivesTheWayThereAndBack) {
    const std::string text = "a\xC3\xBC\xE2\x82\xAC\xF0\x9F\x98\x80";
    const auto wide = to_utf16(text);
    EXPECT_EQ(wide.size(), 5u);
    EXPECT_EQ(to_utf8(reinterpret_cast<const WCHAR *>(wide.c_str())), text);
    EXPECT_EQ(to_utf16("\xC3"), std::u16string(1, 0xFFFD));
}

TEST(Indication, AProxysConnectionNamesTheProgramThatItIsFor) {
    Upcall u = connect_v4(6);
    auto view = std::make_shared<dp_redirect_view>();
    view->carries = view->record.hops = 1;
    struct stat self {};
    ASSERT_EQ(::stat("/proc/self/exe", &self), 0);
    auto &first = view->record.hop[0].process;
    first.tgid = static_cast<std::uint32_t>(::getpid());
    first.exe_inode = self.st_ino;
    u.redirect = view;
    const auto original = [&] {
        Indication in(u, {}, {});
        const auto &app = field(in, FWPS_FIELD_ALE_AUTH_CONNECT_V4_ALE_ORIGINAL_APP_ID);
        EXPECT_EQ(app.type, FWP_BYTE_BLOB_TYPE);
        return to_utf8(reinterpret_cast<const WCHAR *>(app.byteBlob->data));
    };
    EXPECT_NE(original().find("runtime_test"), std::string::npos);
    ++first.exe_inode; // the pid is another program's by now
    EXPECT_EQ(original(), u.path);
    u.redirect = nullptr;
    EXPECT_EQ(original(), u.path);
}
