// SPDX-License-Identifier: Apache-2.0
// One end of the control channel: a SEQPACKET socket that carries one protobuf message a packet,
// with descriptors. Not thread safe in one direction: one thread may send while another receives;
// two senders need a lock of their own.
#pragma once

#include <string>
#include <vector>

#include "core/fd.h"
#include "core/result.h"

namespace google::protobuf {
class MessageLite;
}

namespace sluice::protocol {

inline constexpr const char *default_socket = "/run/sluice/control.sock";
inline constexpr std::size_t message_bytes_max = 192 * 1024;
inline constexpr std::size_t fds_max = 16;
inline constexpr std::size_t list_page = 200; // entries of a list in one reply

class Channel {
public:
    explicit Channel(Fd socket) : socket_(std::move(socket)) {}
    static Result<Channel> connect(const std::string &path);

    [[nodiscard]] int fd() const { return socket_.get(); }
    // Blocks while the peer's buffer is full unless the socket is non-blocking (then EAGAIN).
    // Descriptors stay the caller's.
    Result<void> send(const google::protobuf::MessageLite &message,
                      const std::vector<int> &fds = {});
    // False: the peer closed. Descriptors that came along are the caller's.
    Result<bool> receive(google::protobuf::MessageLite &message, std::vector<Fd> &fds);

private:
    Fd socket_;
};

} // namespace sluice::protocol
