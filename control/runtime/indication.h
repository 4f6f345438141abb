// SPDX-License-Identifier: Apache-2.0
// Everything that one call of classifyFn is given, built from an upcall and kept until the call
// returns.
//
//   fixed values   by layer_fields.h; what we do not know is FWP_EMPTY. ALE_APP_ID: the
//   executable's path, UTF-16 with
//                  the closing zero. ALE_USER_ID: FWP_TOKEN_ACCESS_INFORMATION_TYPE whose blob is
//                  the SID S-1-22-1-<uid>.
//   metadata       process id and path, compartment, flow handle, completion handle, header sizes,
//   fragment, direction.
//   redirection    at CONNECT_REDIRECT the layerData is a FWPS_CONNECT_REQUEST0 with its history;
//   ALE_ORIGINAL_APP_ID is the first program of a chain of proxies, as long as it runs.
//   frames         at the MAC layers the list begins with the IP header, or what else the frame
//   carries, inbound, and with the MAC header, tags included, outbound.
//   layerData      NULL at a TCP connect; else one NET_BUFFER_LIST over the frame, in one piece
//   from the Ethernet header on; the data begins where the layer says (data_start).
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runtime/injection_control.h"
#include "runtime/layer_fields.h"
#include "runtime/net_buffer.h"
#include "runtime/upcall.h"
#include "sluice/fwp.h"

namespace sluice::runtime {

class BindRequests;
class ConnectRequests;

class Indication {
public:
    struct Asked {
        bool reauthorize = false; // by us, at completion; the kernel's own is in condition_flags
        std::uint32_t reason = 0; // FWP_CONDITION_REAUTHORIZE_REASON_*
        HANDLE completion = nullptr;
        bool may_pend = false;
        std::shared_ptr<PacketMemory> memory; // of `packet`; without it nobody can keep that
        std::uint32_t host = 0;               // who is asked, on the wire
        HANDLE records = nullptr;             // that the connection carries
    };
    Indication(const Upcall &upcall, std::span<std::byte> packet, const Asked &asked);
    ~Indication();
    Indication(const Indication &) = delete;
    Indication &operator=(const Indication &) = delete;

    [[nodiscard]] const FWPS_INCOMING_VALUES0 *values() const { return &values_; }
    [[nodiscard]] const FWPS_INCOMING_METADATA_VALUES0 *metadata() const { return &metadata_; }
    [[nodiscard]] NET_BUFFER_LIST *layer_data() { return list_; }
    // What a callout gets for layerData: the packet or the request.
    [[nodiscard]] void *data();
    // At CONNECT_REDIRECT; null elsewhere.
    [[nodiscard]] const std::shared_ptr<ConnectRequests> &requests() const { return requests_; }
    // At BIND_REDIRECT; null elsewhere.
    [[nodiscard]] const std::shared_ptr<BindRequests> &bind_requests() const {
        return bind_requests_;
    }

private:
    void read_packet(std::span<std::byte> packet, const std::shared_ptr<PacketMemory> &memory);
    void read_frame(std::span<std::byte> frame, const std::shared_ptr<PacketMemory> &memory);
    std::size_t transport_bytes(std::span<const std::byte> transport) const;
    std::size_t data_start(std::size_t ip_header, std::size_t transport_header) const;
    std::shared_ptr<const PacketOrigin>
    origin(std::span<const std::byte> packet, std::size_t header, const PacketMemory *memory) const;
    void read_fragment(std::span<const std::byte> ip);
    void read_icmp(std::span<const std::byte> message);
    void show_control(const PacketOrigin &packet);
    void read_quoted(std::span<const std::byte> ip);
    FWP_VALUE0 quoted_value(Fact fact);
    FWP_VALUE0 app_id();
    FWP_VALUE0 user_id();
    [[nodiscard]] FWP_VALUE0 port(bool local) const;
    [[nodiscard]] bool unspecified_address(const dp_addr &address) const;
    FWP_VALUE0 interface_value(Fact fact);
    FWP_VALUE0 frame_value(Fact fact);
    FWP_VALUE0 value_of(Fact fact, const Asked &asked);
    [[nodiscard]] PacketOrigin origin_of(const PacketMemory *memory) const;
    void fill_values(const Asked &asked);
    void fill_metadata(const Asked &asked);
    void fill_redirection(const Asked &asked);
    FWP_VALUE0 original_app_id();
    FWP_VALUE0 address(const dp_addr &from, FWP_BYTE_ARRAY16 &storage) const;

    struct Icmp {
        std::uint8_t type, code;           // of the flow's first packet, where there is a flow
        std::optional<std::uint32_t> echo; // identifier << 16 | sequence
    };
    struct Quoted { // by an ICMP error
        std::uint8_t protocol = 0;
        dp_addr local{}, remote{};
        bool has_ports = false;
        std::uint16_t local_port = 0, remote_port = 0;
    };

    const Upcall &upcall_;
    bool inbound_ = false; // the packet
    std::optional<Icmp> icmp_;
    std::optional<Quoted> quoted_;
    bool v6_ = false;
    dp_addr local_{}, remote_{};
    std::uint32_t flags_ = 0;
    std::span<const std::byte> frame_; // at the MAC layers, from the MAC header on
    FWP_BYTE_ARRAY6 interface_mac_{}, local_mac_{}, remote_mac_{};
    std::u16string path_;
    FWP_BYTE_BLOB path_blob_{};
    std::array<std::uint8_t, 16> user_sid_{};
    FWP_BYTE_BLOB user_blob_{};
    UINT64 luid_ = 0, first_luid_ = 0;
    FWP_BYTE_ARRAY16 local_bytes_{}, remote_bytes_{}, quoted_bytes_{};
    std::vector<FWPS_INCOMING_VALUE0> fields_;
    FWPS_INCOMING_VALUES0 values_{};
    FWPS_INCOMING_METADATA_VALUES0 metadata_{};
    std::array<ControlItem, 2> control_{};
    BufferList *list_ = nullptr;
    std::shared_ptr<ConnectRequests> requests_;
    std::shared_ptr<BindRequests> bind_requests_;
    sluice_sockaddr_storage original_destination_{};
    std::u16string original_path_;
    FWP_BYTE_BLOB original_path_blob_{};
};

} // namespace sluice::runtime
