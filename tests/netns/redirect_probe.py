# SPDX-License-Identifier: Apache-2.0
"""A redirected connection from both ends, for redirect_test.cpp: prints in one line what each of them saw.

    redirect_probe.py through CLIENT_NS SERVER_NS tcp|udp ASKED PORT PROXY PROXY_PORT [--mapped]
        [--unconnected] [--forks] [--onward record|bare] [--records --cgroup DIR --file FILE]
    redirect_probe.py set CLIENT_NS FILE

--forks: the proxy becomes a daemon once it listens. --onward: it connects on, with or without the record. --records: what
becomes of its record, and of others, when it is set; the record is left in FILE, which `set` sets once more.
"""

import argparse
import contextlib
import errno
import os
import socket
import subprocess
import sys
import threading

import probe

LEVEL, RECORDS, CONTEXT, ORIGINAL, PEER = 0x534C, 1, 2, 3, 4
SO_ORIGINAL_DST = 80
RECORD_BYTES = 880
SECONDS = 20  # another kernel may be slow
KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}


def plain(address):
    return address.removeprefix("::ffff:")


def end(name):
    return f"{plain(name[0])}:{name[1]}"


def word(action):
    """What the action returns, or the name of its error."""
    try:
        return action()
    except OSError as error:
        return errno.errorcode[error.errno]


def destination(sock, level, option, size):
    def ask():
        raw = sock.getsockopt(level, option, size)
        family = int.from_bytes(raw[:2], sys.byteorder)
        address = raw[4:8] if family == socket.AF_INET else raw[8:24]
        return f"{socket.inet_ntop(family, address)}:{int.from_bytes(raw[2:4], 'big')}"

    return word(ask)


def nat(sock, level, size):
    """As proxies have always asked; the kernel itself has several errors for "not so"."""
    answer = destination(sock, level, SO_ORIGINAL_DST, size)
    return answer if ":" in answer else "none"


def packed(name):
    """The sockaddr of a peer, as setsockopt takes it."""
    port = name[1].to_bytes(2, "big")
    if ":" in name[0]:
        address = socket.inet_pton(socket.AF_INET6, name[0])
        return socket.AF_INET6.to_bytes(2, sys.byteorder) + port + bytes(4) + address + bytes(4)
    return socket.AF_INET.to_bytes(2, sys.byteorder) + port + socket.inet_aton(name[0]) + bytes(8)


def view(sock):
    """What the target's socket tells."""
    return " ".join((
        "v4=" + nat(sock, socket.SOL_IP, 16),
        "v6=" + nat(sock, socket.IPPROTO_IPV6, 28),
        "original=" + destination(sock, LEVEL, ORIGINAL, 28),
        "context=" + word(lambda: sock.getsockopt(LEVEL, CONTEXT, 1024).decode()),
        "record=" + word(lambda: str(len(sock.getsockopt(LEVEL, RECORDS, 1024)))),
        "short=" + word(lambda: str(len(sock.getsockopt(LEVEL, RECORDS, RECORD_BYTES - 1)))),
    ))


def onward(sock, mode, kind, asked, port):
    """The proxy's own connection to where the application wanted to go: what came back."""
    with socket.socket(probe.family_of(asked), KINDS[kind]) as further:
        further.settimeout(SECONDS)
        if mode == "record":
            further.setsockopt(LEVEL, RECORDS, sock.getsockopt(LEVEL, RECORDS, RECORD_BYTES))
        further.connect((asked, port))
        further.sendall(b"12345678")
        return further.recv(64)


def bound(kind, address, port):
    sock = socket.socket(probe.family_of(address), KINDS[kind])
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.settimeout(SECONDS)
    sock.bind((address, port))
    if kind == "tcp":
        sock.listen()
    return sock


def proxy(args):
    """One connection: says what it saw, and answers."""
    sock = bound(args.kind, args.proxy, args.proxy_port)
    if args.forks and os.fork() != 0:
        os._exit(0)
    print("ready", flush=True)
    if args.kind == "tcp":
        sock, _ = sock.accept()
        sock.settimeout(SECONDS)
        sock.recv(64)
    else:
        _, peer = sock.recvfrom(64)
        sock.setsockopt(LEVEL, PEER, packed(peer))
    seen = view(sock)
    answer = onward(sock, args.onward, args.kind, args.asked, args.port) if args.onward else b"proxy"
    if args.kind == "tcp":
        sock.sendall(answer)
    else:
        sock.sendto(answer, peer)
    if args.records:
        seen = records(sock, args.cgroup, args.file)
    print(seen, flush=True)


def set_record(record, make=lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM)):
    def attempt():
        with make() as sock:
            sock.setsockopt(LEVEL, RECORDS, record)
        return "set"

    return word(attempt)


def as_stranger(cgroup, action):
    """By another user, in another cgroup if one is given."""
    reader, writer = os.pipe()
    if os.fork() == 0:
        if cgroup:
            with open(os.path.join(cgroup, "cgroup.procs"), "w", encoding="ascii") as file:
                file.write(str(os.getpid()))
        os.setuid(12345)
        os.write(writer, action().encode())
        os._exit(0)
    os.wait()
    return os.read(reader, 64).decode()


def unknown_option():
    with socket.socket() as sock:
        sock.setsockopt(LEVEL, 99, b"1")


def records(sock, cgroup, file):
    record = sock.getsockopt(LEVEL, RECORDS, RECORD_BYTES)
    forged = bytearray(record)
    forged[100] ^= 1
    with open(file, "wb") as out:
        out.write(record)
    raw = lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    return " ".join((
        "own=" + set_record(record),
        "udp=" + set_record(record, lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)),
        "forged=" + set_record(bytes(forged)),
        "truncated=" + set_record(record[:-8]),
        "longer=" + set_record(record + bytes(8)),
        "group=" + as_stranger(None, lambda: set_record(record)),
        "stranger=" + as_stranger(cgroup, lambda: set_record(record)),
        "reader=" + as_stranger(cgroup, lambda: word(lambda: str(len(sock.getsockopt(LEVEL, RECORDS, 1024))))),
        "connected=" + set_record(record, sock.dup),
        "raw=" + set_record(record, raw),
        "option=" + word(unknown_option),
    ))


def client(args):
    asked = "::ffff:" + args.asked if args.mapped else args.asked
    with socket.socket(probe.family_of(asked), KINDS[args.kind]) as sock:
        sock.settimeout(SECONDS)
        if args.unconnected:
            peer = "-"
            sock.sendto(b"hello", (asked, args.port))
        else:
            sock.connect((asked, args.port))
            peer = end(sock.getpeername())
            sock.sendall(b"hello")
        answer, source = sock.recvfrom(64)
        return f"peer={peer} source={end(source) if source else '-'} answer={answer.decode()}"


@contextlib.contextmanager
def proxy_process(arguments):
    with subprocess.Popen([sys.executable, "-B", __file__, "proxy", *arguments], stdout=subprocess.PIPE,
                          text=True) as process:
        try:
            if process.stdout.readline().strip() != "ready":
                raise RuntimeError("the proxy did not start")
            yield process
        finally:
            process.kill()


def run(args):
    probe.enter(args.server)
    server = bound(args.kind, args.asked, args.port)
    serve = probe.serve_tcp if args.kind == "tcp" else probe.serve_udp
    threading.Thread(target=serve, args=(server,), daemon=True).start()
    probe.enter(args.client)
    with proxy_process(sys.argv[4:]) as process:
        try:
            seen = client(args)
        except OSError as error:
            seen = errno.errorcode.get(error.errno, str(error))
        print(seen, process.stdout.readline().strip())
    server.close()


def ends(parser):
    parser.add_argument("kind")
    parser.add_argument("asked")
    parser.add_argument("port", type=int)
    parser.add_argument("proxy")
    parser.add_argument("proxy_port", type=int)
    parser.add_argument("--mapped", action="store_true")
    parser.add_argument("--unconnected", action="store_true")
    parser.add_argument("--forks", action="store_true")
    parser.add_argument("--onward")
    parser.add_argument("--records", action="store_true")
    parser.add_argument("--cgroup")
    parser.add_argument("--file")


def main():
    parser = argparse.ArgumentParser()
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb in ("through", "proxy", "set"):
        sub = verbs.add_parser(verb)
        if verb != "proxy":
            sub.add_argument("client")
        if verb == "through":
            sub.add_argument("server")
        if verb == "set":
            sub.add_argument("file")
        else:
            ends(sub)
    args = parser.parse_args()
    if args.verb == "proxy":
        proxy(args)
    elif args.verb == "through":
        run(args)
    else:
        probe.enter(args.client)
        with open(args.file, "rb") as file:
            print(set_record(file.read()))


main()
