# SPDX-License-Identifier: Apache-2.0
"""One attempt at traffic, for tests written in C++: prints what came of it in one word.

    probe.py KIND CLIENT_NS SERVER_NS ADDRESS PORT [--uid N] [--cgroup DIR]

KIND: tcp, udp (an echo of eight bytes), ping, refused (UDP to a closed port: does the error come back?), bind, raw.
The server's socket is made in SERVER_NS, everything the client does happens in CLIENT_NS. Words: reached, silent, or
the name of an errno.
"""

import argparse
import ctypes
import errno
import os
import socket
import subprocess
import threading

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000
WAIT = 1.2  # seconds until silence is believed


def enter(namespace):
    with open(f"/run/netns/{namespace}", "rb") as file:
        if LIBC.setns(file.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def serve_tcp(server):
    try:
        connection, _ = server.accept()
        with connection:
            connection.sendall(connection.recv(8))
    except OSError:
        pass


def serve_udp(server):
    try:
        data, peer = server.recvfrom(64)
        server.sendto(data, peer)
    except OSError:
        pass


def make_server(kind, address, port):
    tcp = kind == "tcp"
    server = socket.socket(family_of(address), socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.settimeout(2 * WAIT)
    server.bind((address, port))
    if tcp:
        server.listen()
    threading.Thread(target=serve_tcp if tcp else serve_udp, args=(server,), daemon=True).start()
    return server


def exchange(kind, address, port):
    client = socket.socket(family_of(address), socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
    client.settimeout(WAIT)
    client.connect((address, port))
    client.sendall(b"12345678")
    return "reached" if client.recv(8) == b"12345678" else "silent"


def attempt(kind, address, port):
    if kind == "ping":
        done = subprocess.run(["ping", "-c", "1", "-W", "1", address], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, check=False)
        return "reached" if done.returncode == 0 else "silent"
    if kind == "bind":
        client = socket.socket(family_of(address), socket.SOCK_STREAM)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1) # connections that are over linger
        client.bind((address, port))
        return "reached"
    if kind == "raw":
        socket.socket(family_of(address), socket.SOCK_RAW, socket.IPPROTO_ICMP)
        return "reached"
    if kind == "refused":
        return exchange("udp", address, port)
    return exchange(kind, address, port)


def main():
    parser = argparse.ArgumentParser()
    for name in ("kind", "client", "server", "address"):
        parser.add_argument(name)
    parser.add_argument("port", type=int)
    parser.add_argument("--uid", type=int)
    parser.add_argument("--cgroup")
    args = parser.parse_args()
    server = None
    if args.kind in ("tcp", "udp"):
        enter(args.server)
        server = make_server(args.kind, args.address, args.port)
    enter(args.client)
    if args.cgroup:
        with open(os.path.join(args.cgroup, "cgroup.procs"), "w", encoding="ascii") as file:
            file.write(str(os.getpid()))
    if args.uid is not None:
        os.setuid(args.uid)
    try:
        print(attempt(args.kind, args.address, args.port))
    except TimeoutError:
        print("silent")
    except OSError as error:
        print(errno.errorcode.get(error.errno, str(error)))
    del server


if __name__ == "__main__":
    main()
