# SPDX-License-Identifier: Apache-2.0
"""Traffic without pause, for tests that change the policy beneath it. Until SIGTERM; prints what came of it as JSON.

    traffic.py serve ADDRESS...     echoes TCP and UDP on port 7000 of each address; prints "serving" first
    traffic.py echo ADDRESS         one datagram at a time, and its echo: sent, lost
    traffic.py silent ADDRESS       datagrams that nothing should answer: sent, refused, answered
    traffic.py connect ADDRESS      one connection after the other: reached, refused (EPERM, ECONNREFUSED), failed
    traffic.py stream ADDRESS       one connection and numbered blocks through it: sent, wrong, retransmitted
"""
import errno
import json
import selectors
import signal
import socket
import struct
import sys
import time

PORT, PATIENCE = 7000, 3
LINGER_NOT = struct.pack("ii", 1, 0)
running = True


def stop(*_):
    global running
    running = False


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def client(address, kind):
    s = socket.socket(family_of(address), kind)
    s.settimeout(PATIENCE)
    return s


def serve(addresses):
    loop = selectors.DefaultSelector()

    def on_datagram(s):
        data, peer = s.recvfrom(65536)
        s.sendto(data, peer)

    def on_data(s):
        data = b""
        try:
            data = s.recv(65536)
            s.sendall(data)
        except OSError:
            pass
        if not data:
            loop.unregister(s)
            s.close()

    for address in addresses:
        datagrams = socket.socket(family_of(address), socket.SOCK_DGRAM)
        datagrams.bind((address, PORT))
        loop.register(datagrams, selectors.EVENT_READ, on_datagram)
        listener = socket.socket(family_of(address), socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, PORT))
        listener.listen(1024)
        loop.register(listener, selectors.EVENT_READ,
                      lambda s: loop.register(s.accept()[0], selectors.EVENT_READ, on_data))
    print("serving", flush=True)
    while running:
        for key, _ in loop.select(0.2):
            try:
                key.data(key.fileobj)
            except OSError:
                pass  # a peer that has gone
    return {}


def echo(address):
    s = client(address, socket.SOCK_DGRAM)
    sent = lost = 0
    while running:
        sent += 1
        data = struct.pack("!Q", sent)
        try:
            s.sendto(data, (address, PORT))
            while s.recv(64) != data:
                pass  # the echo of one that was given up
        except OSError:
            lost += 1
    return {"sent": sent, "lost": lost}


def silent(address):
    s = client(address, socket.SOCK_DGRAM)
    s.setblocking(False)
    sent = refused = answered = 0
    while running:
        sent += 1
        try:
            s.sendto(b"x", (address, PORT))
        except OSError:
            refused += 1
        try:
            s.recv(64)
            answered += 1
        except OSError:
            pass
        time.sleep(0.002)
    return {"sent": sent, "refused": refused, "answered": answered}


def connect(address):
    found = {"reached": 0, "refused": 0, "failed": 0}
    while running:
        with client(address, socket.SOCK_STREAM) as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
            error = s.connect_ex((address, PORT))
        time.sleep(0.001)
        found["reached" if not error else "refused" if error in (errno.EPERM, errno.ECONNREFUSED) else "failed"] += 1
    return found


def stream(address):
    s = client(address, socket.SOCK_STREAM)
    sent = wrong = 0
    try:
        s.connect((address, PORT))
        while running:
            sent += 1
            block = struct.pack("!Q", sent) * 128
            s.sendall(block)
            back = b""
            while len(back) < len(block) and (data := s.recv(len(block) - len(back))):
                back += data
            wrong += back != block
    except OSError as e:
        return {"sent": sent, "wrong": wrong + 1, "error": str(e)}
    retransmitted = struct.unpack_from("I", s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104), 100)[0]
    return {"sent": sent, "wrong": wrong, "retransmitted": retransmitted}


def main():
    signal.signal(signal.SIGTERM, stop)
    what, *addresses = sys.argv[1:]
    if what == "serve":
        serve(addresses)
    else:
        print(json.dumps({"echo": echo, "silent": silent, "connect": connect, "stream": stream}[what](*addresses)))


main()
