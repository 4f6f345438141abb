# SPDX-License-Identifier: Apache-2.0
"""Pinned maps as they are, read a batch at a time: bpftool takes seconds for ten thousand entries."""
import ctypes
import errno
import os
import struct

SYS_BPF, OBJ_GET, LOOKUP_BATCH = 321, 7, 24
BATCH = 1024
FLOW_STATES = ["none", "asked", "held", "draining", "permitted", "blocked", "completed"]
_libc = ctypes.CDLL(None, use_errno=True)


def _bpf(command, attributes):
    room = ctypes.create_string_buffer(attributes.ljust(128, b"\0"), 128)
    return _libc.syscall(SYS_BPF, command, room, 128), room


class PinnedMap:
    def __init__(self, path):
        name = ctypes.create_string_buffer(str(path).encode())
        self.fd, _ = _bpf(OBJ_GET, struct.pack("QII", ctypes.addressof(name), 0, 0))
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), f"open {path}")
        with open(f"/proc/self/fdinfo/{self.fd}") as info:
            self.info = dict(line.split(":", 1) for line in info if ":" in line)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.fd)

    @property
    def bytes(self):
        """What the kernel says it takes (since 6.4: just now)."""
        return int(self.info["memlock"])

    def entries(self):
        """All (key, value) of a hash, as bytes."""
        key_bytes, value_bytes = int(self.info["key_size"]), int(self.info["value_size"])
        keys = ctypes.create_string_buffer(key_bytes * BATCH)
        values = ctypes.create_string_buffer(value_bytes * BATCH)
        place = [ctypes.create_string_buffer(max(key_bytes, 8)) for _ in range(2)]
        begun, out = 0, []
        while True:
            attributes = struct.pack("QQQQIIQQ", begun, ctypes.addressof(place[1]), ctypes.addressof(keys),
                                     ctypes.addressof(values), BATCH, self.fd, 0, 0)
            result, room = _bpf(LOOKUP_BATCH, attributes)
            error = ctypes.get_errno() if result else 0
            if error not in (0, errno.ENOENT):
                raise OSError(error, "read a map")
            for n in range(struct.unpack_from("I", room, 32)[0]):
                out.append((keys.raw[n * key_bytes:(n + 1) * key_bytes],
                            values.raw[n * value_bytes:(n + 1) * value_bytes]))
            if error:
                return out
            place.reverse()
            begun = ctypes.addressof(place[0])


def entries(pins, name):
    """Of the map of that name in each data plane below `pins`."""
    out = []
    for path in sorted(pins.glob(f"*/{name}")):
        with PinnedMap(path) as pinned:
            out += pinned.entries()
    return out


def flow_states(pins):
    """How many flows are in which state."""
    counts = {}
    for _, value in entries(pins, "flows"):
        word = FLOW_STATES[struct.unpack_from("I", value, 4)[0]]
        counts[word] = counts.get(word, 0) + 1
    return counts


def bytes_of(pins):
    """Of all maps below `pins`."""
    total = 0
    for path in pins.glob("*/*"):
        try:
            with PinnedMap(path) as pinned:
                total += pinned.bytes
        except (OSError, KeyError):  # a program, a link
            pass
    return total
