# SPDX-License-Identifier: Apache-2.0
"""Namespaces, programs and look-outs for the end-to-end tests.

        client namespace                             server namespace
   ┌─────────────────────────┐                 ┌─────────────────────────┐
   │ curl, iperf3, sockets   │      veth       │ HTTP, echo, UDP, iperf3 │
   │ nic0   10.91.0.1/24   ══╪═════════════════╪══ peer0  10.91.0.2/24   │
   │        fd91::1/64       │                 │          fd91::2/64     │
   │ nic1   10.92.0.1/24   ══╪═ (if asked for) ╪══ peer1  10.92.0.2/24   │
   │        fd92::1/64       │                 │          fd92::2/64     │
   └─────────────────────────┘                 └─────────────────────────┘
        Sluice is loaded onto nic0                 captures look at peer0

sluiced runs in the namespace of the test, with a socket, a state file and a pin directory of its own. Everything that a
test starts is ended by its own process id, and every namespace has a name of its own, so that tests may run side by
side with each other and with a Sluice in use. Times are seconds of time.time(), which captures use too.

Settings by environment: SLUICE_BUILD (build tree), SLUICE_TEST_SLACK (factor on every deadline; slow machines).
"""
import contextlib
import ctypes
import errno
import hashlib
import itertools
import json
import os
import pathlib
import select
import selectors
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("SLUICE_BUILD", SOURCE / "build/release")).resolve()
SLACK = float(os.environ.get("SLUICE_TEST_SLACK", "1"))
SLUICED = BUILD / "control/daemon/sluiced"
SLUICE = BUILD / "control/cli/sluice"
SLUICE_HOST = BUILD / "control/host/sluice-host"
PLUGINS, EXAMPLES = BUILD / "plugins", BUILD / "examples"

CLIENT4, SERVER4, CLIENT6, SERVER6 = "10.91.0.1", "10.91.0.2", "fd91::1", "fd91::2"
TCP, UDP, ICMP6 = 6, 17, 58
FIN, SYN, RST, ACK = 1, 2, 4, 16
ETH_P_ALL, SO_TIMESTAMPNS, SO_RCVBUFFORCE = 3, 35, 33
SOL_PACKET, PACKET_STATISTICS = 263, 6

_libc = ctypes.CDLL(None, use_errno=True)
_numbers = itertools.count(1)


def server(family):
    return SERVER4 if family == 4 else SERVER6


def plain(value):
    """Layer and protocol names are compared without regard to their spelling's case and dashes."""
    return value.lower().replace("-", "_") if isinstance(value, str) else value


def af(family):
    return socket.AF_INET if family == 4 else socket.AF_INET6


def measured(what, value, unit):
    """A figure worth reading in the test's output; asserts elsewhere have generous bounds."""
    print(f"measured: {what} {value:.3f} {unit}", flush=True)


def wait_for(condition, what, timeout=10.0, every=0.02):
    """The first true value of condition(), or a failure that says what did not happen."""
    end = time.monotonic() + timeout * SLACK
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout * SLACK:g} s: {what}")
        time.sleep(every)


def end_process(process, patience=5):
    if process.poll() is not None:
        return process.returncode
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGCONT)
        process.terminate()
    try:
        return process.wait(patience * SLACK)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


class Namespace:
    """A network namespace with a name that no other test has."""

    def __init__(self, role):
        self.name = f"slt-{os.getpid()}-{next(_numbers)}-{role}"
        self.path = f"/var/run/netns/{self.name}"
        subprocess.run(["ip", "netns", "add", self.name], check=True)
        self.ip("link", "set", "lo", "up")

    def delete(self):
        if os.path.exists(self.path):
            subprocess.run(["ip", "netns", "delete", self.name], check=False)

    def ip(self, *arguments):
        subprocess.run(["ip", "-n", self.name, *arguments], check=True)

    def argv(self, *command):
        # `ip netns exec` remounts /sys and hides bpffs, hence nsenter
        return ["nsenter", f"--net={self.path}", *map(str, command)]

    def run(self, *command, **options):
        options.setdefault("check", True)
        return subprocess.run(self.argv(*command), capture_output=True, text=True, **options)

    def popen(self, *command, **options):
        return subprocess.Popen(self.argv(*command), **options)

    @contextlib.contextmanager
    def entered(self):
        """The calling thread is in the namespace; sockets that it makes stay there."""
        with open("/proc/thread-self/ns/net") as before, open(self.path) as ours:
            if _libc.setns(ours.fileno(), 0):
                raise OSError(ctypes.get_errno(), "setns")
            try:
                yield
            finally:
                if _libc.setns(before.fileno(), 0):
                    raise OSError(ctypes.get_errno(), "setns")

    def socket(self, family, kind=socket.SOCK_STREAM, protocol=0):
        with self.entered():
            return socket.socket(family, kind, protocol)


class Topology:
    """The two namespaces that are drawn above."""

    def __init__(self, nics=1):
        self.client, self.server = Namespace("client"), Namespace("server")
        for n in range(nics):
            self.client.ip("link", "add", f"nic{n}", "type", "veth",
                           "peer", "name", f"peer{n}", "netns", self.server.name)
            for end, namespace, host in (("nic", self.client, 1), ("peer", self.server, 2)):
                device = f"{end}{n}"
                namespace.ip("link", "set", device, "addrgenmode", "none")
                namespace.ip("link", "set", device, "up")
                namespace.ip("addr", "add", f"10.9{n + 1}.0.{host}/24", "dev", device)
                namespace.ip("addr", "add", f"fd9{n + 1}::{host}/64", "dev", device, "nodad")
        for n in range(nics):
            wait_for(lambda: "LOWER_UP" in self.client.run("ip", "link", "show", f"nic{n}").stdout, "carrier")
            # neighbours are learned before anything is held, so that captures show the flows and nothing else
            self.client.run("ping", "-c1", "-W5", f"10.9{n + 1}.0.2", check=False)
            self.client.run("ping", "-c1", "-W5", f"fd9{n + 1}::2", check=False)

    def delete(self):
        self.client.delete()
        self.server.delete()


class Server:
    """Answers HTTP, echoes anything else on TCP, and notes each UDP datagram as (time, data, from)."""

    def __init__(self, namespace, port=80, addresses=("0.0.0.0", "::")):
        self.port, self.datagrams, self.accepted, self._loop = port, [], 0, selectors.DefaultSelector()
        self._wake, wake = socket.socketpair()
        self._loop.register(wake, selectors.EVENT_READ, lambda _: None)
        self._stop = False
        for address in addresses:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                s = namespace.socket(family, kind)
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                if kind == socket.SOCK_DGRAM:
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
                s.bind((address, port))
                s.setblocking(False)
                if kind == socket.SOCK_STREAM:
                    s.listen(4096)
                self._loop.register(s, selectors.EVENT_READ,
                                    self._accept if kind == socket.SOCK_STREAM else self._datagram)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._stop:
            for key, _ in self._loop.select(1):
                key.data(key.fileobj)

    def _accept(self, listener):
        with contextlib.suppress(BlockingIOError):
            while True:
                connection, _ = listener.accept()
                connection.setblocking(False)
                self.accepted += 1
                self._loop.register(connection, selectors.EVENT_READ, self._data)

    def _data(self, connection):
        try:
            data = connection.recv(65536)
            if data.startswith(b"GET "):
                connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 6\r\n\r\nhello\n")
                data = b""
            if data:
                connection.sendall(data)
                return
        except OSError:
            pass
        self._loop.unregister(connection)
        connection.close()

    def _datagram(self, s):
        with contextlib.suppress(BlockingIOError):
            while True:
                data, peer = s.recvfrom(65536)
                self.datagrams.append((time.time(), data, peer))

    def close(self):
        """Once more does nothing."""
        if self._stop:
            return
        self._stop = True
        self._wake.send(b"x")
        self._thread.join(5)
        for key in list(self._loop.get_map().values()):
            key.fileobj.close()
        self._loop.close()
        self._wake.close()


class Packet:
    __slots__ = ("time", "protocol", "source", "target", "sport", "dport", "flags", "outgoing", "payload", "raw")

    def __repr__(self):
        names = [n for n, bit in (("SYN", SYN), ("ACK", ACK), ("RST", RST), ("FIN", FIN)) if self.flags & bit]
        return f"{self.time:.3f} {self.protocol} {self.source}.{self.sport} > {self.target}.{self.dport} {'|'.join(names)}"


class Capture:
    """Every frame on a device from now on, with the kernel's time stamps."""

    def __init__(self, namespace, device):
        self.frames = []
        self._socket = namespace.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        self._socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self._socket.bind((device, ETH_P_ALL))
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._stop = False
        self._thread.start()

    def _run(self):
        while not self._stop:
            if not select.select([self._socket], [], [], 0.1)[0]:
                continue
            try:
                data, extra, _, address = self._socket.recvmsg(65536, 128)
            except OSError:
                return
            stamp = time.time()
            for level, kind, value in extra:
                if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS:
                    seconds, nanoseconds = struct.unpack("qq", value[:16])
                    stamp = seconds + nanoseconds / 1e9
            self.frames.append((stamp, address[2] == 4, data))

    def close(self):
        self._stop = True
        self._thread.join(5)
        self._socket.close()

    def lost(self):
        """How many frames found no room since the last time."""
        return struct.unpack("II", self._socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))[1]

    def packets(self, protocol=None, sport=None, dport=None, flags=0):
        """Those that the server received, parsed; flags: bits that must be set."""
        return [p for p in map(parse, list(self.frames)) if p and not p.outgoing and
                (protocol is None or p.protocol == protocol) and (sport is None or p.sport == sport) and
                (dport is None or p.dport == dport) and p.flags & flags == flags]

    def syns(self, dport, sport=None):
        return [p for p in self.packets(TCP, sport, dport, SYN) if not p.flags & ACK]

    def settled_syns(self, expected, dport, sport=None):
        """The SYNs, once the capture has had time to show the expected ones and any that should not be there."""
        wait_for(lambda: len(self.syns(dport, sport)) >= expected, f"{expected} SYNs in the capture", 10)
        time.sleep(0.3)
        return self.syns(dport, sport)


def parse(frame):
    stamp, outgoing, data = frame
    packet = Packet()
    packet.time, packet.outgoing, packet.raw = stamp, outgoing, data
    packet.sport = packet.dport = packet.flags = 0
    kind = data[12:14]
    if kind == b"\x08\x00":
        packet.protocol, at = data[23], 14 + (data[14] & 15) * 4
        packet.source = socket.inet_ntop(socket.AF_INET, data[26:30])
        packet.target = socket.inet_ntop(socket.AF_INET, data[30:34])
        end = 14 + struct.unpack("!H", data[16:18])[0]
    elif kind == b"\x86\xdd":
        packet.protocol, at = data[20], 54
        packet.source = socket.inet_ntop(socket.AF_INET6, data[22:38])
        packet.target = socket.inet_ntop(socket.AF_INET6, data[38:54])
        end = 54 + struct.unpack("!H", data[18:20])[0]
    else:
        return None
    if packet.protocol in (TCP, UDP):
        packet.sport, packet.dport = struct.unpack("!HH", data[at:at + 4])
    header = 8
    if packet.protocol == TCP:
        header, packet.flags = (data[at + 12] >> 4) * 4, data[at + 13]
    packet.payload = data[at + header:end]
    return packet


class Result:
    def __init__(self, done):
        self.status, self.out, self.err = done.returncode, done.stdout, done.stderr

    def __repr__(self):
        return f"exit {self.status}\nout: {self.out}err: {self.err}"


class Daemon:
    """A sluiced with a socket, a state file and pins of its own, and the commands that speak to it."""

    def __init__(self, directory, namespace=None):
        self.directory, self.namespace, self.process = pathlib.Path(directory), namespace, None
        self.socket, self.state = self.directory / "control.sock", self.directory / "state"
        self.pins = pathlib.Path(f"/sys/fs/bpf/sluice-{self.directory.name}")
        self.log = self.directory / "sluiced.log"
        self.options = []  # more of them

    def command(self):
        return [str(SLUICED), "--socket", str(self.socket), "--state", str(self.state), "--pin-root", str(self.pins),
                *map(str, self.options)]

    def start(self):
        command = self.namespace.argv(*self.command()) if self.namespace else self.command()
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

        def answers():
            if self.process.poll() is not None:
                raise AssertionError(f"sluiced ended with status {self.process.returncode}")
            return self.run("status").status == 0
        wait_for(answers, "sluiced answers", 20)
        return self

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        return end_process(self.process) if self.process else 0

    def end_hosts(self):
        """The hosts that it has started outlive it, to go on with what they hold; no test may leave any behind."""
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if str(self.socket).encode() in (process / "cmdline").read_bytes().split(b"\0"):
                    os.kill(int(process.name), signal.SIGKILL)

    def run(self, *arguments, namespace=None, user=None):
        """`sluice ARGUMENTS`, whatever comes of it."""
        command = [str(SLUICE), "--socket", str(self.socket), *map(str, arguments)]
        if user:
            command = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", *command]
        if namespace:
            command = namespace.argv(*command)
        return Result(subprocess.run(command, capture_output=True, text=True, timeout=60 * SLACK))

    def do(self, *arguments, namespace=None):
        """`sluice ARGUMENTS`, which must succeed; its output."""
        result = self.run(*arguments, namespace=namespace)
        if result.status:
            raise AssertionError(f"sluice {' '.join(map(str, arguments))}: {result}")
        return result.out.strip()

    def list(self, what):
        """`sluice WHAT list --json`"""
        return json.loads(self.do(what, "list", "--json"))[what + "s"]

    def holds(self, **wanted):
        return [h for h in self.list("hold") if all(plain(h[k]) == plain(v) for k, v in wanted.items())]

    def wait_hold(self, timeout=10, **wanted):
        return wait_for(lambda: self.holds(**wanted), f"a hold with {wanted}", timeout)[0]

    def reason(self, name):
        """The counter DP_REASON_<name> over all namespaces."""
        counters = json.loads(self.do("stats", "--json"))["counters"]
        return sum(c["packets"] for c in counters if c["name"].upper().endswith("DP_REASON_" + name)
                   or c["name"].upper() == name)

    def filter(self, layer, action="block", callout=None, remote=None, port=None, protocol=None, permit_on_loss=False,
               **more):
        arguments = ["filter", "add", "--layer", layer, "--action", action]
        for option, value in (("--callout", callout), ("--remote", remote), ("--remote-port", port),
                              ("--protocol", protocol), *((f"--{k.replace('_', '-')}", v) for k, v in more.items())):
            if value is not None:
                arguments += [option] if value is True else [option, str(value)]
        if permit_on_loss:
            arguments.append("--permit-if-unregistered")
        return int(self.do(*arguments, "--name", "of a test").split()[-1])

    def ask(self, family=4, **conditions):
        """A filter that hands connections to the callout of ask.so."""
        return self.filter(f"ale_auth_connect_v{family}", "callout", f"ask_v{family}", **conditions)

    def wait_hosts(self):
        """After a restart: until the hosts of before are back."""
        wait_for(lambda: all(h["state"] == "live" for h in self.list("host")), "the hosts are back")

    def leftovers(self):
        return sorted(str(p) for p in self.pins.rglob("*")) if self.pins.exists() else []


class Host:
    """A sluice-host with one plugin."""

    def __init__(self, daemon, plugin="ask.so", user=None, environment=None, callouts=("ask_v4", "ask_v6"), wait=True):
        plugin = pathlib.Path(plugin)
        plugin = plugin if plugin.is_absolute() else PLUGINS / plugin
        command = [str(SLUICE_HOST), str(plugin), "--socket", str(daemon.socket)]
        if user:
            command += ["--user", user]
        self.log = daemon.directory / f"host-{next(_numbers)}.log"
        self.daemon = daemon
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                                            env=dict(os.environ, **(environment or {})))
        if wait:
            self.wait(callouts)

    @property
    def pid(self):
        return self.process.pid

    def wait(self, callouts):
        def registered():
            if self.process.poll() is not None:
                raise AssertionError(f"sluice-host ended with status {self.process.returncode}")
            names = {c["name"] for c in self.daemon.list("callout") if c["registered"]}
            return set(callouts) <= names
        wait_for(registered, f"callouts {callouts} are registered", 20)

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        return end_process(self.process)


class Attempt:
    """A connect() in a thread of its own: when it began and ended, and the errno it ended with (0: connected)."""

    def __init__(self, namespace, address, port, blocking=True, timeout=None, bind=None):
        self.family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.socket = namespace.socket(self.family)
        if bind:
            self.socket.bind(bind)
        self.began, self.ended, self.error = time.time(), None, None
        self._timeout = timeout
        self._thread = threading.Thread(target=self._run, args=(address, port, blocking), daemon=True)
        self._thread.start()

    def _run(self, address, port, blocking):
        try:
            if blocking:
                self.socket.connect((address, port))
                error = 0
            else:
                self.socket.setblocking(False)
                error = self.socket.connect_ex((address, port))
                if error == errno.EINPROGRESS:
                    select.select([], [self.socket], [], self._timeout or 600)
                    error = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        except OSError as e:
            error = e.errno
        self.ended, self.error = time.time(), error

    @property
    def port(self):
        return self.socket.getsockname()[1]

    def wait(self, timeout=10):
        self._thread.join(timeout * SLACK)
        if self.ended is None:
            raise AssertionError(f"connect() still waits after {time.time() - self.began:.1f} s")
        return self.error

    def close(self):
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


def hashed_streams(ways, megabytes):
    """Sends so much on each way, a name with its sender and its receiver, at once. By name: hash sent, hash received."""
    block = os.urandom(1 << 20)
    sent, received = {}, {}

    def send(s, name):
        seen = hashlib.sha256()
        for _ in range(megabytes):
            s.sendall(block)
            seen.update(block)
        s.shutdown(socket.SHUT_WR)
        sent[name] = seen.hexdigest()

    def receive(s, name):
        seen = hashlib.sha256()
        while data := s.recv(1 << 20):
            seen.update(data)
        received[name] = seen.hexdigest()
    work = [threading.Thread(target=send, args=(ends[0], name)) for name, ends in ways.items()]
    work += [threading.Thread(target=receive, args=(ends[1], name)) for name, ends in ways.items()]
    for thread in work:
        thread.start()
    for thread in work:
        thread.join()
    return {name: (sent.get(name), received.get(name)) for name in ways}


class SluiceTest(unittest.TestCase):
    """A topology, a daemon and what a test adds; all of it goes at the end, and logs are shown when the test failed."""
    nics = 1
    load = True
    start = True

    def setUp(self):
        if os.geteuid():
            self.skipTest("needs root")
        for program in (SLUICED, SLUICE, SLUICE_HOST):
            if not program.exists():
                self.fail(f"{program} is not built")
        directory = tempfile.mkdtemp(prefix="slt-", dir="/run")
        os.chmod(directory, 0o755)
        self.directory = pathlib.Path(directory)
        self.addCleanup(shutil.rmtree, directory, ignore_errors=True)
        self.addCleanup(self._show_logs)
        self.net = Topology(self.nics)
        self.addCleanup(self.net.delete)
        self.client, self.far = self.net.client, self.net.server
        self.daemon = Daemon(directory)
        self.addCleanup(self._remove_pins)
        self.addCleanup(self.daemon.end_hosts)
        if self.start:
            self.daemon.start()
            if self.load:
                self.nic_load()
        self.addCleanup(self.daemon.stop)
        self.addCleanup(self._unload)

    def _unload(self):
        """Also after a test that left sluiced dead: what libxdp pinned goes only so."""
        if self.daemon.process:
            if self.daemon.process.poll() is not None and self.daemon.leftovers():
                self.daemon.start()
            for n in range(self.nics):
                self.daemon.run("nic", "unload", f"nic{n}", namespace=self.client)

    def _remove_pins(self):
        if self.daemon.pins.exists():
            for path in sorted(self.daemon.pins.rglob("*"), reverse=True):
                path.rmdir() if path.is_dir() else path.unlink()
            self.daemon.pins.rmdir()

    def _show_logs(self):
        outcome = self._outcome.result
        if any(test is self for test, _ in outcome.failures + outcome.errors):
            for log in sorted(self.directory.glob("*.log")):
                print(f"--- {log.name}", file=sys.stderr)
                lines = log.read_text(errors="replace").splitlines()
                print("\n".join(lines[-60:]), file=sys.stderr)

    # what tests add

    def nic_load(self, nic="nic0", *options):
        return self.daemon.do("nic", "load", nic, *options, namespace=self.client)

    def host(self, *arguments, **options):
        host = Host(self.daemon, *arguments, **options)
        self.addCleanup(host.stop)
        return host

    def serve(self, **options):
        s = Server(options.pop("namespace", self.far), **options)
        self.addCleanup(s.close)
        return s

    def capture(self, namespace=None, device="peer0"):
        c = Capture(namespace or self.far, device)
        self.addCleanup(c.close)
        return c

    def attempt(self, address=SERVER4, port=80, **options):
        a = Attempt(options.pop("namespace", self.client), address, port, **options)
        self.addCleanup(a.close)
        return a

    def datagram_socket(self, family=4, connect=None):
        s = self.client.socket(af(family), socket.SOCK_DGRAM)
        self.addCleanup(s.close)
        s.bind(("0.0.0.0" if family == 4 else "::", 0))
        if connect:
            s.connect((server(family), connect))
        return s

    def popen(self, namespace, *command, **options):
        process = namespace.popen(*command, **options)
        self.addCleanup(end_process, process)
        return process

    def permit(self, hold):
        """Permits and says when the command was given."""
        now = time.time()
        self.daemon.do("hold", "permit", hold["id"])
        return now

    def block(self, hold):
        now = time.time()
        self.daemon.do("hold", "block", hold["id"])
        return now

    def ss(self, port):
        return self.client.run("ss", "-tinH", f"sport = :{port}").stdout

    def assert_soon(self, seconds, limit, what):
        measured(what, seconds * 1000, "ms")
        self.assertLess(seconds, limit * SLACK, what)


class Iperf:
    """An iperf3 transfer; ends with its report. intervals() reads bits per second of each tenth of a second."""

    def __init__(self, test, seconds, server_address=SERVER4):
        self.seconds = seconds
        self.server = test.popen(test.far, "iperf3", "-s", "-1", stdout=subprocess.DEVNULL)
        wait_for(lambda: test.far.run("ss", "-tlnH", "sport = :5201").stdout, "iperf3 listens")
        self.process = test.popen(test.client, "iperf3", "-c", server_address, "-t", seconds, "-i", "0.2", "-b", "200M", "-J",
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def wait_running(self, test):
        wait_for(lambda: test.far.run("ss", "-tnH", "state", "established", "sport = :5201").stdout.count("\n") >= 2,
                 "iperf3 transfers")

    def report(self):
        out, err = self.process.communicate(timeout=(self.seconds + 20) * SLACK)
        report = json.loads(out)
        if self.process.returncode or "error" in report:
            raise AssertionError(f"iperf3: {report.get('error')} {err}")
        return [i["sum"]["bits_per_second"] for i in report["intervals"]]
