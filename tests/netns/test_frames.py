# SPDX-License-Identifier: Apache-2.0
"""Callouts at the MAC layers, and injection of frames there."""
import hashlib
import json
import os
import select
import socket
import struct
import threading
import unittest

from harness import BUILD, CLIENT4, CLIENT6, ETH_P_ALL, SERVER4, SERVER6, SLACK, SluiceTest, af, server, wait_for

SUCCESS, INVALID, NOT_READY = 0, 0xC000000D, 0xC0220100
ARP, IPV4, IPV6, PRIVATE = 0x0806, 0x0800, 0x86DD, 0x88B5
BY_SELF = 1
SOL_PACKET, PACKET_AUXDATA = 263, 8
TAGGED = ([], [(0x8100, 5)], [(0x88A8, 7), (0x8100, 8)])


class FramesTest(SluiceTest):
    start = False
    mode = ()

    def setUp(self):
        super().setUp()
        self.daemon.namespace = self.client  # its own compartment: frames that are no clones go there
        self.daemon.start()
        self.log = self.directory / "framer.log"

    def go(self, way, **more):
        """Loads, and starts the plugin with a callout filter at both layers."""
        self.nic_load("nic0", *self.mode)
        environment = {"FRAMER": way, "FRAMER_LOG": str(self.log), **more}
        self.framing = self.host(BUILD / "tests/netns/framer.so", callouts=("frame_in", "frame_out"), environment=environment)
        self.filters = [self.daemon.filter(f"{direction}bound_mac_frame_ethernet", "callout", f"frame_{direction}")
                        for direction in ("in", "out")]

    def notes(self, **wanted):
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        notes = [json.loads(line) for line in lines if line.endswith("}")]
        return [n for n in notes if all(n.get(k) == v for k, v in wanted.items())]

    def shown(self, **wanted):
        return [n for n in self.notes(**wanted) if "state" in n]

    def index(self, device="nic0"):
        with self.client.entered():
            return socket.if_nametoindex(device)

    def mac(self, namespace, device):
        return json.loads(namespace.run("ip", "-j", "link", "show", device).stdout)[0]["address"]

    def ping(self, address, count=3):
        return self.client.run("ping", "-c", str(count), "-i0.2", "-W2", address, check=False).returncode == 0

    def raw(self, namespace, device, protocol=ETH_P_ALL):
        s = namespace.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(protocol))
        self.addCleanup(s.close)
        s.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        s.bind((device, protocol))
        return s

    def frames(self, s, kind=PRIVATE, wait=2):
        """What comes of that type (behind its tags), as it was on the wire; outgoing frames are not counted."""
        out = []
        while select.select([s], [], [], wait * SLACK)[0]:
            data, extra, _, address = s.recvmsg(65536, 256)
            for level, what, value in extra:
                if (level, what) != (SOL_PACKET, PACKET_AUXDATA):
                    continue
                status, *_, tci, tpid = struct.unpack("IIIHHHH", value[:20])
                if status & 0x10:  # VLAN_VALID
                    data = data[:12] + struct.pack("!HH", tpid, tci) + data[12:]
            at = 12
            while data[at:at + 2] in (b"\x81\x00", b"\x88\xa8"):
                at += 4
            if address[2] != 4 and data[at:at + 2] == struct.pack("!H", kind):
                out.append(data)
                wait = 0.2
        return out

    @staticmethod
    def frame(to, source, payload, tags=(), kind=PRIVATE):
        link = bytes.fromhex((to + source).replace(":", ""))
        return link + b"".join(struct.pack("!HH", *t) for t in tags) + struct.pack("!H", kind) + payload

    def stream(self, family, megabytes=4):
        """TCP from the client to the far end, byte-exact."""
        block, sums = os.urandom(1 << 20), {}
        with self.far.socket(af(family)) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((server(family), 9100))
            listener.listen()
            with self.client.socket(af(family)) as here:
                here.settimeout(60 * SLACK)
                here.connect((server(family), 9100))
                there, _ = listener.accept()

                def receive():
                    seen = hashlib.sha256()
                    with there:
                        while data := there.recv(1 << 20):
                            seen.update(data)
                    sums["received"] = seen.hexdigest()
                thread = threading.Thread(target=receive)
                thread.start()
                seen = hashlib.sha256()
                for _ in range(megabytes):
                    here.sendall(block)
                    seen.update(block)
                here.shutdown(socket.SHUT_WR)
                thread.join()
        self.assertEqual(sums["received"], seen.hexdigest())

    def datagrams(self, sender, receiver, address, family, count=20):
        """Each arrives, and once."""
        with receiver.socket(af(family), socket.SOCK_DGRAM) as there, sender.socket(af(family), socket.SOCK_DGRAM) as here:
            there.bind((address, 9000))
            for n in range(count):
                here.sendto(b"%d" % n, (address, 9000))
            got = []
            while select.select([there], [], [], 2 * SLACK if len(got) < count else 0.2)[0]:
                got.append(int(there.recv(100)))
        self.assertEqual(sorted(got), list(range(count)))

    def forget(self):
        for namespace, device in ((self.client, "nic0"), (self.far, "peer0")):
            namespace.ip("neigh", "flush", "dev", device)

    def everything(self):
        """ARP and neighbour discovery, echo, datagrams both ways and a stream, of both families."""
        self.forget()
        for address in (SERVER4, SERVER6):
            self.assertTrue(self.ping(address), address)
        for family, here, there in ((4, CLIENT4, SERVER4), (6, CLIENT6, SERVER6)):
            self.datagrams(self.client, self.far, there, family)
            self.datagrams(self.far, self.client, here, family)
            self.stream(family)

    @staticmethod
    def payloads():
        """What a frame may carry, by its type."""
        udp = struct.pack("!HHHH", 9000, 9000, 8 + 26, 0) + b"x" * 26
        return {ARP: struct.pack("!HHBBH", 1, IPV4, 6, 4, 1) + b"y" * 38,
                IPV4: struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0) +
                socket.inet_aton("10.95.0.2") + socket.inet_aton("10.95.0.1") + udp,
                IPV6: struct.pack("!IHBB", 6 << 28, len(udp), 17, 64) +
                socket.inet_pton(socket.AF_INET6, "fd95::2") + socket.inet_pton(socket.AF_INET6, "fd95::1") + udp}

    def ways(self, payloads):
        """Both directions, with each stack of tags and each payload: whether it is inbound, the
        frame, its tags and type. A packet socket sees a frame as it comes from the driver; where TC judges, and a
        callout was asked, it sees it once more as it comes from the port."""
        ends = [(self.client, "nic0"), (self.far, "peer0")]
        for inbound, (sender, receiver) in ((0, ends), (1, ends[::-1])):
            here, there, source, to = self.raw(*sender), self.raw(*receiver), self.mac(*sender), self.mac(*receiver)
            copies = 2 if inbound and self.mode else 1
            for tags in TAGGED:
                for kind, payload in payloads:
                    frame = self.frame(to, source, payload, tags, kind)
                    here.send(frame)
                    got = [f for f in self.frames(there, kind) if f.endswith(payload)]
                    self.assertEqual(got, [frame] * copies, "it arrives as it was sent, and once")
                    yield inbound, frame, tags, kind

    def through_tags(self):
        """Tagged frames of each type arrive as they were sent, and are shown as such."""
        for inbound, sent, tags, kind in self.ways(self.payloads().items()):
            wanted = {"in": inbound, "type": kind, "vlan": tags[0][1] if tags else -1, "length": len(sent)}
            for note in wait_for(lambda: self.shown(**wanted), f"shown: {wanted}"):
                self.assertEqual(note["header"], 14 + 4 * len(tags) if inbound else 0)
                self.assertEqual(note["size"], len(sent) - note["header"])

    def private(self):
        """Frames of a type that no stack knows, both ways, without and with tags: they arrive as they were sent, once."""
        for _ in self.ways([(PRIVATE, os.urandom(46)), (PRIVATE, os.urandom(1492))]):
            pass


class Permit(FramesTest):
    def test_all(self):
        self.go("permit")
        self.everything()
        self.private()
        here, there = self.mac(self.client, "nic0"), self.mac(self.far, "peer0")
        for direction in (1, 0):
            arp = self.shown(**{"in": direction, "type": ARP})
            self.assertTrue(arp)
            for note in self.shown(**{"in": direction, "type": IPV4}):
                self.assertEqual((note["here"], note["local"], note["remote"]), (here, here, there))
                self.assertEqual((note["vlan"], note["kinds"], note["interface"]), (-1, [1, 1], self.index()))
                self.assertEqual((note["compartment"], note["l2"], note["state"]), (1, 1, 0))
                self.assertEqual(note["header"], 14 if direction else 0)
                self.assertEqual(note["size"], note["length"] - note["header"])
        groups = [n["kinds"][1] for n in self.shown(**{"in": 0, "type": ARP}) if n["remote"] == "ff:ff:ff:ff:ff:ff"]
        self.assertTrue(groups and set(groups) == {4}, groups)
        self.assertEqual(self.daemon.reason("INJECTED"), 0)

    def test_tags(self):
        self.go("permit")
        self.through_tags()

    def test_the_layer_behind(self):
        """What a callout lets in is still the next layer's to refuse; the last layer has none behind it."""
        self.go("permit")
        self.assertTrue(self.ping(SERVER4))
        self.daemon.filter("inbound_ippacket_v4", "block")
        self.assertFalse(self.ping(SERVER4, 1))
        self.assertTrue(self.ping(SERVER6))

    def test_two_callouts(self):
        """Another of the same kind behind it sees each frame as well."""
        self.go("permit")
        log = self.directory / "behind.log"
        self.host(BUILD / "tests/netns/framer.so", callouts=("behind_in", "behind_out"),
                  environment={"FRAMER": "permit", "FRAMER_LOG": str(log), "FRAMER_NAME": "behind"})
        low = self.daemon.do("sublayer", "add", "low", "--weight", "16").split()[-1]
        for d in ("in", "out"):
            self.daemon.filter(f"{d}bound_mac_frame_ethernet", "callout", f"behind_{d}", sublayer=low)
        self.through_tags()
        self.private()
        self.log = log
        self.through_tags()
        self.assertTrue(self.shown(type=PRIVATE, vlan=7))


class Generic(Permit):
    """The same where TC judges what comes in."""
    mode = ("--mode", "generic")


class Inject(FramesTest):
    def balanced(self):
        """Each frame was shown, injected once, and shown as ours; nothing went round."""
        self.assertEqual(self.daemon.reason("INJECT_LOOP"), 0)
        wait_for(lambda: len(self.shown(state=BY_SELF)) and
                 len(self.notes(status=SUCCESS)) == len(self.shown(state=0)), "each is completed")
        self.assertEqual({n["context"] for n in self.shown(state=BY_SELF)}, {77})
        self.assertEqual({n["state"] for n in self.shown()}, {0, BY_SELF})

    # ctest: vm
    def test_all(self):
        self.go("inject")
        self.forget()
        for address in (SERVER4, SERVER6):
            self.assertTrue(self.ping(address), address)
        self.private()
        self.balanced()
        for direction in (1, 0):
            for kind in (ARP, IPV4, IPV6, PRIVATE):
                self.assertTrue(self.shown(**{"in": direction, "type": kind, "state": BY_SELF}), (direction, kind))
        self.everything()
        self.assertEqual(self.daemon.reason("INJECT_LOOP"), 0)

    def test_tags(self):
        self.go("inject")
        self.through_tags()
        self.balanced()

    def test_round_and_round(self):
        """Who injects whatever he sees comes to an end: after sixteen times a frame is dropped."""
        self.go("inject", FRAMER_BLIND="1")
        sender = self.raw(self.far, "peer0")
        sender.send(self.frame(self.mac(self.client, "nic0"), self.mac(self.far, "peer0"), b"x" * 46))
        wait_for(lambda: self.daemon.reason("INJECT_LOOP") >= 1, "the round is ended")
        seen = self.shown(**{"type": PRIVATE, "in": 1})
        self.assertEqual(len(seen), 17)


class GenericInject(Inject):
    mode = ("--mode", "generic")


class Two(FramesTest):
    """Two plugins that take each frame and inject it again: each knows what it injected, so that neither goes on for ever."""

    def second(self):
        """Another host; its callouts are asked behind those of the first."""
        self.other_log = self.directory / "behind.log"
        self.host(BUILD / "tests/netns/framer.so", callouts=("behind_in", "behind_out"),
                  environment={"FRAMER": "inject", "FRAMER_LOG": str(self.other_log), "FRAMER_NAME": "behind"})

    def behind(self):
        low = self.daemon.do("sublayer", "add", "low", "--weight", "16").split()[-1]
        for direction in ("in", "out"):
            self.daemon.filter(f"{direction}bound_mac_frame_ethernet", "callout", f"behind_{direction}", sublayer=low)

    def check(self):
        before = self.daemon.reason("INJECTED")
        for count, _ in enumerate(self.ways([(PRIVATE, os.urandom(46))]), 1):
            pass
        self.assertGreaterEqual(self.daemon.reason("INJECTED") - before, 2 * count, "both have injected each")
        self.forget()
        for address in (SERVER4, SERVER6):
            self.assertTrue(self.ping(address), address)
        for family, here, there in ((4, CLIENT4, SERVER4), (6, CLIENT6, SERVER6)):
            self.datagrams(self.client, self.far, there, family)
            self.datagrams(self.far, self.client, here, family)
            self.stream(family, 1)
        self.assertEqual(self.daemon.reason("INJECT_LOOP"), 0)

    def test_two_hosts(self):
        self.go("inject")
        self.second()
        self.behind()
        self.check()
        first, self.log = self.log, self.other_log
        states = {n["state"] for n in self.shown(type=PRIVATE)}
        self.log = first
        self.assertEqual(states, {0, 2, BY_SELF})  # 0: what the first has taken is shown all the same
        self.assertEqual({n["state"] for n in self.shown(type=PRIVATE)}, {0, BY_SELF, 3})

    def test_one_host(self):
        self.go("inject", FRAMER_TWICE="behind")
        self.behind()
        self.check()
        self.assertEqual({n["state"] for n in self.shown(type=PRIVATE)}, {0, 1, 2, 3})


class Refused(FramesTest):
    def test_block(self):
        self.go("block")
        self.forget()
        self.assertFalse(self.ping(SERVER4, 1))
        self.assertGreater(self.daemon.reason("CALLOUT_BLOCK"), 0)

    def test_the_host_dies(self):
        """A callout that is not there blocks, as at every layer."""
        self.go("permit")
        self.assertTrue(self.ping(SERVER4))
        self.framing.kill()
        wait_for(lambda: not self.ping(SERVER4, 1), "nothing passes")


class Orders(FramesTest):
    """Frames that the plugin makes."""

    def setUp(self):
        super().setUp()
        fifo = self.directory / "orders"
        os.mkfifo(fifo)
        self.go("permit", FRAMER_ORDERS=str(fifo))
        self.orders = open(fifo, "w")
        self.addCleanup(self.orders.close)
        self.here, self.there = self.mac(self.client, "nic0"), self.mac(self.far, "peer0")

    def order(self, verb, frame, interface=None):
        """The status of the call."""
        before = len(self.notes())
        done = len([n for n in self.notes() if "order" in n])
        self.orders.write(f"{verb} {self.index() if interface is None else interface} {frame.hex()}\n")
        self.orders.flush()
        return wait_for(lambda: [n["order"] for n in self.notes()[before:] if "order" in n][:1] or
                        [n["order"] for n in self.notes() if "order" in n][done:], "the order is carried out")[0]

    def test_sent(self):
        far = self.raw(self.far, "peer0")
        for tags in TAGGED:
            for size in (46, 1500):
                frame = self.frame(self.there, self.here, os.urandom(size), tags)
                self.assertEqual(self.order("send", frame), SUCCESS)
                self.assertEqual(self.frames(far), [frame])
                seen = self.shown(**{"in": 0, "type": PRIVATE})[-1]
                self.assertEqual((seen["state"], seen["length"]), (BY_SELF, len(frame)))

    def test_received(self):
        for tags in TAGGED:
            near = self.raw(self.client, "nic0")
            for size in (46, 1500):
                frame = self.frame(self.here, self.there, os.urandom(size), tags)
                self.assertEqual(self.order("receive", frame), SUCCESS)
                self.assertEqual(self.frames(near), [frame])
                seen = self.shown(**{"in": 1, "type": PRIVATE})[-1]
                self.assertEqual((seen["state"], seen["header"]), (BY_SELF, 14 + 4 * len(tags)))

    def test_a_datagram(self):
        """An IP packet in a frame of its own reaches a socket, as if it had come by the wire."""
        with self.client.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.bind((CLIENT4, 9000))
            s.settimeout(5 * SLACK)
            udp = struct.pack("!HHHH", 9001, 9000, 8 + 5, 0) + b"hello"
            ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0) + socket.inet_aton(SERVER4) + socket.inet_aton(CLIENT4)
            total = sum(struct.unpack("!10H", ip))
            total = (total & 0xFFFF) + (total >> 16)
            ip = ip[:10] + struct.pack("!H", ~total & 0xFFFF) + ip[12:]
            self.assertEqual(self.order("receive", self.frame(self.here, self.there, ip + udp, kind=IPV4)), SUCCESS)
            self.assertEqual(s.recvfrom(100), (b"hello", (SERVER4, 9001)))

    def test_refused(self):
        """By the call what is no frame; by the kernel what has no interface, is too long for it, or contradicts itself."""
        frame = self.frame(self.there, self.here, b"x" * 46)
        self.assertEqual(self.order("send", frame[:13]), INVALID)
        self.assertEqual(self.order("send", self.frame(self.there, self.here, b"x" * 3273)), INVALID)
        self.assertEqual(self.order("send", frame, interface=0), INVALID)
        far, near = self.raw(self.far, "peer0"), self.raw(self.client, "nic0")
        self.assertEqual(self.order("send", frame, interface=9999), SUCCESS)
        self.assertEqual(self.order("receive", frame, interface=9999), SUCCESS)
        lies = self.frame(self.there, self.here, bytes([0x45, 0, 0xFF, 0xFF] + [0] * 42), kind=IPV4)
        self.assertEqual(self.order("send", lies), SUCCESS)
        deep = self.frame(self.there, self.here, b"x" * 46, [(0x8100, 1)] * 3)
        self.assertEqual(self.order("receive", deep), SUCCESS)
        wait_for(lambda: self.daemon.reason("INJECT_REFUSED") == 4, "they are refused")
        self.assertEqual(self.order("send", self.frame(self.there, self.here, b"x" * 1501)), SUCCESS)
        wait_for(lambda: self.daemon.reason("INJECT_TOO_BIG") == 1, "it is refused")
        self.assertEqual((self.frames(far), self.frames(near, wait=0.2)), ([], []))
        self.assertEqual(self.daemon.reason("INJECTED"), 0)

    def test_the_nic_goes(self):
        frame = self.frame(self.there, self.here, b"x" * 46)
        self.assertEqual(self.order("send", frame), SUCCESS)
        self.daemon.do("nic", "unload", "nic0", namespace=self.client)
        wait_for(lambda: self.order("send", frame) == NOT_READY, "there is no way to the kernel any more")

    def test_jumbo(self):
        """As long as a frame may be; there is no callout then, whose header would not find room."""
        for n in self.filters:
            self.daemon.do("filter", "delete", n)
        for namespace, device in ((self.client, "nic0"), (self.far, "peer0")):
            namespace.ip("link", "set", device, "mtu", "3400")
        far, near = self.raw(self.far, "peer0"), self.raw(self.client, "nic0")
        for verb, there, to, source in (("send", far, self.there, self.here), ("receive", near, self.here, self.there)):
            for size in (3000, 3272):
                frame = self.frame(to, source, os.urandom(size))
                self.assertEqual(self.order(verb, frame), SUCCESS)
                self.assertEqual([len(f) for f in self.frames(there)], [len(frame)], (verb, size))


if __name__ == "__main__":
    unittest.main(verbosity=2)
