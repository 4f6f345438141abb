# SPDX-License-Identifier: Apache-2.0
"""redirect_target.py ADDRESS PORT: what redirected connections arrive at, in a process of its own: one that is also the
client would be taken for a proxy's. Answers the first line of a connection, and each datagram, with a line of JSON: what
the socket says of the client, the original destination, context and records; then a connection echoes. Datagrams that begin with "echo" come back as
they are."""
import json
import pathlib
import socket
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "api/examples"))
from relay import (SO_REDIRECT_ORIGINAL_DST, SO_REDIRECT_PEER, SO_REDIRECT_RECORDS, SOL_SLUICE,  # noqa: E402
                   from_sockaddr, to_sockaddr)

SO_REDIRECT_CONTEXT = 2


def asked(s, level, option, size, form):
    try:
        return form(s.getsockopt(level, option, size))
    except OSError as e:
        return {"errno": e.errno}


def about(s, client, port, mine):
    v6 = ":" in client[0] and not client[0].startswith("::ffff:")
    classic = (socket.IPPROTO_IPV6, 80, 28) if v6 else (socket.IPPROTO_IP, 80, 16)
    return {"target": mine, "port": port, "client": client[:2],
            "original": asked(s, SOL_SLUICE, SO_REDIRECT_ORIGINAL_DST, 28, from_sockaddr),
            "classic": asked(s, *classic, from_sockaddr),
            "context": asked(s, SOL_SLUICE, SO_REDIRECT_CONTEXT, 1024, lambda c: c.decode(errors="replace")),
            "records": asked(s, SOL_SLUICE, SO_REDIRECT_RECORDS, 1024, len)}


def serve(accepted, client, port, mine):
    with accepted:
        line = b""
        while not line.endswith(b"\n"):
            data = accepted.recv(65536)
            if not data:
                return
            line += data
        accepted.sendall(json.dumps(about(accepted, client, port, mine)).encode() + b"\n")
        while data := accepted.recv(65536):
            accepted.sendall(data)


def datagrams(s, port, mine):
    while True:
        data, client = s.recvfrom(65536)
        if data.startswith(b"echo"):
            s.sendto(data, client)
            continue
        try:
            s.setsockopt(SOL_SLUICE, SO_REDIRECT_PEER, to_sockaddr(client))
        except OSError:
            pass
        s.sendto(json.dumps(about(s, client, port, mine)).encode() + b"\n", client)


def main(address, port):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener, s = socket.socket(family), socket.socket(family, socket.SOCK_DGRAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    for one in (listener, s):
        one.bind((address, port))
    listener.listen(1024)
    threading.Thread(target=datagrams, args=(s, port, address), daemon=True).start()
    while True:
        accepted, client = listener.accept()
        threading.Thread(target=serve, args=(accepted, client, port, address), daemon=True).start()


main(sys.argv[1], int(sys.argv[2]))
