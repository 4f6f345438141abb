// SPDX-License-Identifier: Apache-2.0
// A callout at OUTBOUND_TRANSPORT that takes each packet and sends one of its own making in its
// place, as drivers do that queue bytes: with the control data of the metadata where COPIER says
// "control", else with none.
#include <cstdlib>
#include <cstring>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include <sluice.hpp>

using namespace sluice;

namespace {

// Until its injection has completed.
struct Copy {
    std::vector<UINT8> bytes, control, remote;
    MDL piece{};
    NET_BUFFER_LIST *list = nullptr;
};

struct Pool {
    Pool() {
        NET_BUFFER_LIST_POOL_PARAMETERS p{};
        p.Header = {NDIS_OBJECT_TYPE_DEFAULT, NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1,
                    NDIS_SIZEOF_NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1};
        p.fAllocateNetBuffer = 1;
        of_lists = NdisAllocateNetBufferListPool(nullptr, &p);
    }
    ~Pool() { NdisFreeNetBufferListPool(of_lists); }
    NDIS_HANDLE of_lists;
};

struct Copier {
    explicit Copier(Driver &driver) : device(driver, "copier") {
        for (const bool v6 : {false, true})
            callouts.emplace_back(device, engine, v6 ? "copy_v6" : "copy_v4",
                                  v6 ? FWPM_LAYER_OUTBOUND_TRANSPORT_V6
                                     : FWPM_LAYER_OUTBOUND_TRANSPORT_V4,
                                  [this, v6](Classification &packet) { return look(packet, v6); });
    }

    Verdict look(Classification &packet, bool v6) {
        if (handle.knows(packet.packets())) return permit();
        auto copy = std::make_unique<Copy>();
        const auto &m = packet.metadata();
        copy->bytes = PacketView(*packet.packets()).copy();
        if (control && packet.has(FWPS_METADATA_FIELD_TRANSPORT_CONTROL_DATA)) {
            const auto *at = reinterpret_cast<const UINT8 *>(m.controlData);
            copy->control.assign(at, at + m.controlDataLength);
        }
        const UINT32 remote[] = {FWPS_FIELD_OUTBOUND_TRANSPORT_V4_IP_REMOTE_ADDRESS,
                                 FWPS_FIELD_OUTBOUND_TRANSPORT_V6_IP_REMOTE_ADDRESS};
        const FWP_VALUE0 &to = packet[remote[v6]];
        for (int i = 0; i < (v6 ? 16 : 4); ++i)
            copy->remote.push_back(v6 ? to.byteArray16->byteArray16[i]
                                      : static_cast<UINT8>(to.uint32 >> (24 - 8 * i)));
        send(std::move(copy), packet.endpoint(), static_cast<COMPARTMENT_ID>(m.compartmentId), v6);
        return absorbed();
    }

    void send(std::unique_ptr<Copy> copy, UINT64 endpoint, COMPARTMENT_ID compartment, bool v6) {
        copy->piece.MappedSystemVa = copy->piece.StartVa = copy->bytes.data();
        copy->piece.ByteCount = static_cast<ULONG>(copy->bytes.size());
        check(FwpsAllocateNetBufferAndNetBufferList0(pool.of_lists, 0, 0, &copy->piece, 0,
                                                     copy->bytes.size(), &copy->list),
              "FwpsAllocateNetBufferAndNetBufferList0");
        FWPS_TRANSPORT_SEND_PARAMS0 args{};
        args.remoteAddress = copy->remote.data();
        if (!copy->control.empty())
            args.controlData = reinterpret_cast<SLUICE_CMSGHDR *>(copy->control.data());
        args.controlDataLength = static_cast<ULONG>(copy->control.size());
        const NTSTATUS status = FwpsInjectTransportSendAsync0(
            handle.get(), nullptr, endpoint, 0, &args,
            static_cast<ADDRESS_FAMILY>(v6 ? SLUICE_AF_INET6 : SLUICE_AF_INET), compartment,
            copy->list, over, copy.get());
        if (status == STATUS_SUCCESS)
            (void)copy.release();
        else
            FwpsFreeNetBufferList0(copy->list);
    }

    static VOID NTAPI over(VOID *context, NET_BUFFER_LIST *list, BOOLEAN) {
        FwpsFreeNetBufferList0(list);
        delete static_cast<Copy *>(context);
    }

    const bool control = std::getenv("COPIER") && !std::strcmp(std::getenv("COPIER"), "control");
    Device device;
    Engine engine{"copier"};
    Pool pool;
    InjectionHandle handle{FWPS_INJECTION_TYPE_TRANSPORT}; // ends once all that it sends is over
    std::list<Callout> callouts;
};

} // namespace

SLUICE_PLUGIN(Copier);
