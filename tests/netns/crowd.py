# SPDX-License-Identifier: Apache-2.0
"""Many processes that open many connections each, and note what becomes of every one.

    crowd.py PROCESSES CONNECTIONS ADDRESS:PORT...

Each process opens its connections without waiting, TCP and UDP in turns, to the targets in turns; UDP sends two
datagrams, "first" and "second". "open" is printed when all have been opened; when standard input ends the processes tell
what they saw and close. Then one JSON list a connection: [protocol, address, port, local port, pid, errno or null, time],
errno 0 for a TCP connection that was made, null for what is open still; for UDP errno is what the network answered.
"""
import contextlib
import json
import os
import select
import socket
import sys
import time

WAIT_MS = 1000


def target_of(text):
    address, port = text.rsplit(":", 1)
    return address, int(port)


def open_all(count, targets):
    opened = []
    for n in range(count):
        tcp = n % 2 == 0
        address, port = targets[n // 2 % len(targets)]
        s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET,
                          socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM)
        s.setblocking(False)
        error = s.connect_ex((address, port))
        if not tcp:
            with contextlib.suppress(OSError):
                s.send(b"first")
                s.send(b"second")
        opened.append([s, "tcp" if tcp else "udp", address, port, s.getsockname()[1], error if tcp else None])
    return opened


def watch(opened, stop, ends):
    """Until `stop` ends: the error of each socket that has one, and when it was seen."""
    loop, by_fd = select.poll(), {}
    loop.register(stop, select.POLLIN)
    for entry in opened:
        if entry[5] in (None, 115):
            loop.register(entry[0], select.POLLOUT if entry[1] == "tcp" else 0)
            by_fd[entry[0].fileno()] = entry
    while True:
        for fd, _ in loop.poll(WAIT_MS):
            if fd == stop:
                return
            s = by_fd[fd][0]
            ends[fd] = (s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), time.time())
            loop.unregister(fd)


def one(count, targets, ready, stop, out):
    opened, ends = open_all(count, targets), {}
    os.write(ready, b".")
    watch(opened, stop, ends)
    rows = [[protocol, address, port, local, os.getpid(),
             *ends.get(s.fileno(), (None if error == 115 else error, None))]
            for s, protocol, address, port, local, error in opened]
    with open(out, "w") as file:
        json.dump(rows, file)


def main():
    processes, count, targets = int(sys.argv[1]), int(sys.argv[2]), [target_of(t) for t in sys.argv[3:]]
    ready_read, ready = os.pipe()
    stop_read, stop = os.pipe()
    directory = os.environ["CROWD_DIRECTORY"]
    children = []
    for _ in range(processes):
        child = os.fork()
        if not child:
            os.close(stop)
            one(count, targets, ready, stop_read, f"{directory}/crowd-{os.getpid()}")
            os._exit(0)
        children.append(child)
    opened = 0
    while opened < processes:
        opened += len(os.read(ready_read, 4096))
    print("open", flush=True)
    sys.stdin.read()
    os.close(stop)
    for child in children:
        os.waitpid(child, 0)
    print(json.dumps([row for c in children for row in json.load(open(f"{directory}/crowd-{c}"))]))


if __name__ == "__main__":
    main()
