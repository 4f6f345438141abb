# SPDX-License-Identifier: Apache-2.0
"""winsock_proxy.py LIBRARY ADDRESS PORT [FOREIGN_CGROUP]: a proxy that speaks to redirection as one for Windows does, by
WSAIoctl of libsluice. The first line of each connection that it accepts names what it is to do with its socket (a function
of this file); the answer is a line of JSON, in which an error is its number."""
import ctypes
import json
import os
import pathlib
import socket
import sys

RECORDS, CONTEXT, SET = 0x980000DC, 0x980000DD, 0x980000DE
IO_PENDING = 997


class Overlapped(ctypes.Structure):
    _fields_ = [("internal", ctypes.c_size_t), ("bytes", ctypes.c_size_t), ("offset", ctypes.c_uint32 * 2),
                ("event", ctypes.c_void_p)]


Routine = ctypes.CFUNCTYPE(None, ctypes.c_uint32, ctypes.c_uint32, ctypes.c_void_p, ctypes.c_uint32)
wsa = ctypes.CDLL(sys.argv[1])
wsa.WSACreateEvent.restype = ctypes.c_void_p
wsa.WSASocketW.restype = ctypes.c_size_t
wsa.WSAIoctl.argtypes = [ctypes.c_size_t, ctypes.c_uint32, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_void_p,
                         ctypes.c_uint32, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
wsa.WSPIoctl.argtypes = [*wsa.WSAIoctl.argtypes, ctypes.c_void_p, ctypes.c_void_p]
wsa.WSASocketW.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint32]
wsa.closesocket.argtypes = [ctypes.c_size_t]
wsa.SluiceSocketSetOverlapped0.argtypes = [ctypes.c_size_t, ctypes.c_int]
wsa.WSAGetOverlappedResult.argtypes = [ctypes.c_size_t, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p]


def control(s, code, given=b"", room=1024):
    """What came, or its error; and the bytes that it tells."""
    out, told = ctypes.create_string_buffer(max(room, 1)), ctypes.c_uint32(77)
    if wsa.WSAIoctl(s, code, given or None, len(given), out if room else None, room, ctypes.byref(told), None, None):
        return wsa.WSAGetLastError(), told.value
    return out.raw[:told.value] if room else 0, told.value


def give(s, record):
    return control(s, SET, record, 0)


def fresh(kind=socket.SOCK_STREAM, protocol=0):
    return wsa.WSASocketW(socket.AF_INET, kind, protocol, None, 0, 0)


def given(record, **of):
    s = fresh(**of)
    answer = give(s, record)
    wsa.closesocket(s)
    return answer


def queries(s):
    record, context = control(s, RECORDS)[0], control(s, CONTEXT)[0]
    error = ctypes.c_int(0)
    room, told = ctypes.create_string_buffer(8), ctypes.c_uint32(77)
    failed = wsa.WSPIoctl(s, RECORDS, None, 0, room, 8, ctypes.byref(told), None, None, None, ctypes.byref(error))
    return {"record": len(record), "context": context.decode() if isinstance(context, bytes) else context, "short": control(s, RECORDS, room=8),
            "short context": control(s, CONTEXT, room=3), "provider": [failed, error.value, told.value],
            "unknown": control(s, 0x98000001)}


def sets(s):
    record = control(s, RECORDS)[0]
    forged = record[:100] + bytes([record[100] ^ 1]) + record[101:]
    return {"set": given(record), "forged": given(forged), "cut": given(record[:-8]), "connected": give(s, record),
            "raw": given(record, kind=socket.SOCK_RAW, protocol=socket.IPPROTO_ICMP),
            "datagrams": given(record, kind=socket.SOCK_DGRAM),
            "with room": control(s, SET, record, 64)[0]}


def onward(s):
    """Connects to where the client wanted to go, with the record."""
    o = fresh()
    answer = give(o, control(s, RECORDS)[0])
    with socket.socket(fileno=o) as other:
        other.connect(("10.91.0.2", 80))
        return {"set": answer, "peer": other.getpeername()}


def not_redirected(_):
    """A connection of its own, and a socket that no redirection can be of."""
    with socket.create_connection(("10.91.0.2", 80)) as plain, socket.socket(socket.AF_INET, socket.SOCK_RAW, 1) as raw:
        return {"records": control(plain.fileno(), RECORDS), "context": control(plain.fileno(), CONTEXT),
                "raw": control(raw.fileno(), RECORDS), "no socket": control(0, RECORDS)}


def foreign(s):
    """As another user in another cgroup, to whom it was not redirected."""
    record = control(s, RECORDS)[0]
    reader, writer = os.pipe()
    if os.fork() == 0:
        pathlib.Path(sys.argv[4], "cgroup.procs").write_text(str(os.getpid()), encoding="ascii")
        os.setgid(12345)
        os.setuid(12345)
        answer = {"records": control(s, RECORDS), "context": control(s, CONTEXT), "set": given(record)}
        os.write(writer, json.dumps(answer).encode())
        os._exit(0)
    os.wait()
    return json.loads(os.read(reader, 4096))


class Begun:
    """An overlapped query."""

    def __init__(self, s, event=None, routine=None):
        self.socket, self.room, self.how = s, ctypes.create_string_buffer(1024), Overlapped(event=event)
        failed = wsa.WSAIoctl(s, RECORDS, None, 0, self.room, 1024, None, ctypes.byref(self.how), routine)
        self.error = wsa.WSAGetLastError() if failed else 0

    def result(self):
        moved = ctypes.c_uint32(0)
        good = wsa.WSAGetOverlappedResult(self.socket, ctypes.byref(self.how), ctypes.byref(moved), 1, None)
        return [0 if good else wsa.WSAGetLastError(), moved.value]


def overlapped(s):
    wsa.SluiceSocketSetOverlapped0(s, 1)
    event = wsa.WSACreateEvent()
    first = Begun(s, event)
    events = (ctypes.c_void_p * 1)(event)
    waited = wsa.WSAWaitForMultipleEvents(1, events, 1, 5000, 0)
    ends = []

    def ended(error, moved, _, __):
        inside = wsa.WSAIoctl(s, RECORDS, None, 0, None, 0, None, None, None)
        ends.append([error, moved, inside, wsa.WSAGetLastError()])
    routine = Routine(ended)
    second = Begun(s, None, ctypes.cast(routine, ctypes.c_void_p))
    while not ends and wsa.SleepEx(5000, 1) == 0xC0:
        pass
    wsa.SluiceSocketSetOverlapped0(s, 0)
    return {"begun": [first.error, second.error], "event": waited, "result": first.result(),
            "same": first.room.raw[:880] == control(s, RECORDS)[0], "routine": ends}


def aborted(s):
    """The thread that carries them out is kept from it, so that the socket is closed before."""
    copy = os.dup(s)
    wsa.SluiceSocketSetOverlapped0(copy, 1)
    begun = [Begun(copy)]
    cpu = {min(os.sched_getaffinity(0))}
    for thread in set(os.listdir("/proc/self/task")) - {str(os.getpid())}:
        os.sched_setscheduler(int(thread), os.SCHED_IDLE, os.sched_param(0))
        os.sched_setaffinity(int(thread), cpu)
    os.sched_setaffinity(0, cpu)
    begun += [Begun(copy) for _ in range(500)]
    wsa.closesocket(copy)
    ends = [b.result() for b in begun]
    return {"begun": sorted({b.error for b in begun}), "ends": sorted({tuple(e) for e in ends}), "last": ends[-1]}


def elsewhere():
    """In a namespace without Sluice."""
    s = fresh()
    print(json.dumps({"records": control(s, RECORDS), "set": give(s, bytes(880))}))


def main(address, port):
    with socket.create_server((address, port)) as listener:
        while True:
            accepted, _ = listener.accept()
            with accepted, accepted.makefile("rw") as lines:
                lines.write(json.dumps(globals()[lines.readline().strip()](accepted.fileno())) + "\n")


if sys.argv[2] == "elsewhere":
    elsewhere()
else:
    main(sys.argv[2], int(sys.argv[3]))
