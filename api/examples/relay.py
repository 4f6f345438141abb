#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""relay.py NAME ADDRESS PORT: a proxy for redirected TCP and UDP that uses no library (relay.c is the same for TCP).

Two calls are what it owes the machine: the redirect records are taken from the side that was redirected, and set on the
socket that connects onward, before connect(). A UDP socket has many clients: SO_REDIRECT_PEER says which one is meant.

A line on standard output for each connection or UDP client: NAME, client, original destination, bytes of records.
"""
import socket
import struct
import sys
import threading

SOL_SLUICE = 0x534C
SO_REDIRECT_RECORDS, SO_REDIRECT_ORIGINAL_DST, SO_REDIRECT_PEER = 1, 3, 4


def text(address):
    return f"[{address[0]}]:{address[1]}" if ":" in address[0] else f"{address[0]}:{address[1]}"


def to_sockaddr(address):
    if ":" in address[0]:
        return struct.pack("=HHI16sI", socket.AF_INET6, socket.htons(address[1]), 0,
                           socket.inet_pton(socket.AF_INET6, address[0]), 0)
    return struct.pack("=HH4s8x", socket.AF_INET, socket.htons(address[1]), socket.inet_aton(address[0]))


def from_sockaddr(data):
    family, port = struct.unpack_from("=HH", data)
    if family == socket.AF_INET6:
        return socket.inet_ntop(family, data[8:24]), socket.ntohs(port)
    return socket.inet_ntop(family, data[4:8]), socket.ntohs(port)


def onward(name, redirected, client, kind):
    """A socket that is connected to where the client wanted to go."""
    original = from_sockaddr(redirected.getsockopt(SOL_SLUICE, SO_REDIRECT_ORIGINAL_DST, 28))
    records = redirected.getsockopt(SOL_SLUICE, SO_REDIRECT_RECORDS, 1024)
    print(name, text(client), text(original), len(records), flush=True)
    s = socket.socket(socket.AF_INET6 if ":" in original[0] else socket.AF_INET, kind)
    s.setsockopt(SOL_SLUICE, SO_REDIRECT_RECORDS, records)
    s.connect(original)
    return s


def copy(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def serve_connection(name, accepted, client):
    with accepted:
        try:
            other = onward(name, accepted, client, socket.SOCK_STREAM)
        except OSError as e:
            print(f"relay.py: {e}", file=sys.stderr)
            accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return
        with other:
            back = threading.Thread(target=copy, args=(other, accepted))
            back.start()
            copy(accepted, other)
            back.join()


def serve_datagrams(name, s):
    clients = {}

    def answers(client, other):
        try:
            while True:
                s.sendto(other.recv(65536), client)
        except OSError:
            pass

    while True:
        data, client = s.recvfrom(65536)
        try:
            if client not in clients:
                s.setsockopt(SOL_SLUICE, SO_REDIRECT_PEER, to_sockaddr(client))
                clients[client] = onward(name, s, client, socket.SOCK_DGRAM)
                threading.Thread(target=answers, args=(client, clients[client]), daemon=True).start()
            clients[client].send(data)
        except OSError as e:
            print(f"relay.py: {client}: {e}", file=sys.stderr, flush=True)


def main(name, address, port):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener, datagrams = socket.socket(family), socket.socket(family, socket.SOCK_DGRAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    for s in (listener, datagrams):
        s.bind((address, int(port)))
    listener.listen(1024)
    threading.Thread(target=serve_datagrams, args=(name, datagrams), daemon=True).start()
    while True:
        accepted, client = listener.accept()
        threading.Thread(target=serve_connection, args=(name, accepted, client), daemon=True).start()


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__.strip().splitlines()[0])
    main(*sys.argv[1:])
