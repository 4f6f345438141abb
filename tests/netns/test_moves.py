# SPDX-License-Identifier: Apache-2.0
"""Flows that use another interface, or whose address does: their callouts are asked again, and told why."""
import json
import socket
import unittest

from harness import *

TELLER = BUILD / "tests/netns/teller.so"
CALLOUTS = tuple(f"teller_{what}_v{family}" for what in ("connect", "accept") for family in (4, 6))
ETHERNET = 6  # IANA ifType
NEW_ARRIVAL, NEW_NEXTHOP, PROFILE_CROSSING = 2, 4, 8
BEHIND = {4: "10.99.0.2", 6: "fd99::2"}  # of the server, by either link
EXTRA = {4: "10.91.0.5", 6: "fd91::5"}


def own(family):
    return CLIENT4 if family == 4 else CLIENT6


def width(family):
    return 32 if family == 4 else 128


class Pair:
    """Two sockets that have spoken to each other: near is in the client's namespace."""

    def __init__(self, test, family, kind, near, far, inbound=False):
        self.datagrams = kind == socket.SOCK_DGRAM
        first, second = (test.far, test.client) if inbound else (test.client, test.far)
        first_address, second_address = (far, near) if inbound else (near, far)
        waiting, calling = second.socket(af(family), kind), first.socket(af(family), kind)
        test.addCleanup(waiting.close)
        test.addCleanup(calling.close)
        for s in (waiting, calling):
            s.settimeout(10 * SLACK)
        waiting.bind((second_address, 0))
        calling.bind((first_address, 0))
        if not self.datagrams:
            waiting.listen(1)
        calling.connect(waiting.getsockname())
        if self.datagrams:
            calling.send(b"first")
            waiting.connect(waiting.recvfrom(64)[1])
        else:
            waiting, _ = waiting.accept()
            waiting.settimeout(10 * SLACK)
            test.addCleanup(waiting.close)
        self.near, self.far = (waiting, calling) if inbound else (calling, waiting)
        self.exchange()

    def exchange(self, count=3):
        for n in range(count):
            for one, other in ((self.near, self.far), (self.far, self.near)):
                text = b"%d here" % n
                one.send(text)
                assert other.recv(len(text)) == text


class MovesTest(SluiceTest):
    nics = 2
    load = False

    def prepare(self):
        """What is there before Sluice is."""

    def setUp(self):
        super().setUp()
        for namespace in (self.client, self.far):
            for device in ("all", "default"):
                namespace.run("sysctl", "-qw", f"net.ipv4.conf.{device}.rp_filter=0")
        for device in ("nic0", "nic1"):
            self.client.run("sysctl", "-qw", f"net.ipv4.conf.{device}.rp_filter=0")
        for device in ("peer0", "peer1"):
            self.far.run("sysctl", "-qw", f"net.ipv4.conf.{device}.rp_filter=0")
        self.prepare()
        for nic in ("nic0", "nic1"):
            self.nic_load(nic)
        self.notes_file = self.directory / "notes"
        self.host(TELLER, callouts=CALLOUTS, environment={"TELLER_LOG": str(self.notes_file)})
        for what, layer in (("connect", "ale_auth_connect"), ("accept", "ale_auth_recv_accept")):
            for family, protocol in ((4, "tcp"), (4, "udp"), (6, "tcp"), (6, "udp")):  # neighbours are found by ICMP
                self.daemon.filter(f"{layer}_v{family}", "callout", f"teller_{what}_v{family}", protocol=protocol)
        self.index = {nic: self.index_of(nic) for nic in ("nic0", "nic1")}

    def index_of(self, nic):
        return json.loads(self.client.run("ip", "-j", "link", "show", nic).stdout)[0]["ifindex"]

    def notes(self):
        if not self.notes_file.exists():
            return []
        return [json.loads(line) for line in self.notes_file.read_text().splitlines()]

    def told(self, count):
        """The last note, which is the count-th; none comes after it."""
        wait_for(lambda: len(self.notes()) >= count, f"{count} questions")
        notes = self.notes()
        self.assertEqual(len(notes), count, notes)
        return notes[-1]

    def expect(self, count, place, reason, inbound, nic):
        self.assertEqual(self.told(count),
                         {"place": place, "again": int(reason != 0), "reason": reason, "interface": self.index[nic],
                          "arrival": self.index[nic] if inbound else 0, "nexthop": 0 if inbound else self.index[nic],
                          "type": ETHERNET, "tunnel": 0, "luid": ETHERNET << 48 | self.index[nic] << 24})

    def lead(self, family, link, ours):
        """What one side sends goes by this link from now on."""
        namespace, to, gateway = ((self.client, BEHIND[family], 2) if ours else (self.far, own(family), 1))
        via = f"10.9{link + 1}.0.{gateway}" if family == 4 else f"fd9{link + 1}::{gateway}"
        device = f"{'nic' if ours else 'peer'}{link}"
        namespace.ip("route", "replace", f"{to}/{width(family)}", *(["via", via] if via != to else []), "dev", device,
                     "src", own(family) if ours else BEHIND[family])


class Interfaces(MovesTest):
    def setUp(self):
        super().setUp()
        self.acquaint()
        for family in (4, 6):
            self.far.ip("addr", "add", f"{BEHIND[family]}/{width(family)}", "dev", "lo",
                        *(["nodad"] if family == 6 else []))
            self.lead(family, 0, ours=True)
            self.lead(family, 0, ours=False)

    def acquaint(self):
        """Neighbours are known for good: where the ways differ the answer to who has an address goes the other way."""
        for link in (0, 1):
            ends = (self.client, f"nic{link}", 1), (self.far, f"peer{link}", 2)
            for (namespace, device, _), (other, its, host) in (ends, ends[::-1]):
                mac = json.loads(other.run("ip", "-j", "link", "show", its).stdout)[0]["address"]
                for address in (f"10.9{link + 1}.0.{host}", f"fd9{link + 1}::{host}"):
                    namespace.ip("neigh", "replace", address, "lladdr", mac, "dev", device, "nud", "permanent")

    def outbound(self, kind):
        asked = 0
        for family in (4, 6):
            place = f"connect_v{family}"
            pair = Pair(self, family, kind, own(family), BEHIND[family])
            self.expect(asked + 1, place, 0, False, "nic0")
            self.lead(family, 1, ours=True)
            pair.exchange()  # the ways differ now: both are known, nobody is asked for each packet
            self.expect(asked + 2, place, NEW_NEXTHOP, False, "nic1")
            self.lead(family, 1, ours=False)
            pair.exchange()
            self.expect(asked + 3, place, NEW_ARRIVAL, True, "nic1")
            self.lead(family, 0, ours=True)
            pair.exchange()
            self.expect(asked + 4, place, NEW_NEXTHOP, False, "nic0")
            asked += 4

    # ctest: vm
    def test_a_tcp_connection_leaves_and_arrives_by_another(self):
        self.outbound(socket.SOCK_STREAM)

    def test_datagrams_leave_and_arrive_by_another(self):
        self.outbound(socket.SOCK_DGRAM)

    def inbound(self, kind):
        asked = 0
        for family in (4, 6):
            self.lead(family, 1, ours=True)  # the answers go another way from the beginning: that is no move
            pair = Pair(self, family, kind, own(family), BEHIND[family], inbound=True)
            self.expect(asked + 1, f"accept_v{family}", 0, True, "nic0")
            self.lead(family, 1, ours=False)
            pair.exchange()
            self.expect(asked + 2, f"accept_v{family}", NEW_ARRIVAL, True, "nic1")
            asked += 2

    def test_an_accepted_connection_arrives_by_another(self):
        self.inbound(socket.SOCK_STREAM)

    def test_datagrams_of_a_peer_arrive_by_another(self):
        self.inbound(socket.SOCK_DGRAM)

    def test_a_device_above_another_is_no_move(self):
        """The same packet passes the bridge and the device beneath it."""
        self.client.ip("link", "add", "above", "type", "bridge")
        self.client.ip("link", "set", "nic0", "master", "above")
        self.client.ip("link", "set", "above", "up")
        self.client.ip("addr", "add", "10.95.0.1/24", "dev", "above")
        self.far.ip("addr", "add", "10.95.0.2/24", "dev", "peer0")
        self.nic_load("above")
        self.addCleanup(self.daemon.run, "nic", "unload", "above", namespace=self.client)
        before = self.daemon.reason("REAUTHORIZED")
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
            for inbound in (False, True):
                Pair(self, 4, kind, "10.95.0.1", "10.95.0.2", inbound).exchange()
        self.assertEqual([n["reason"] for n in self.notes()], [0] * 4)
        # other flows (neighbours are sought) may be judged again by the policy; 48 packets would be by both devices
        self.assertLess(self.daemon.reason("REAUTHORIZED") - before, 10, "nor do filters judge each packet")


class LocalAddresses(MovesTest):
    def prepare(self):
        for family in (4, 6):
            self.address(family, "add", "nic0")

    def address(self, family, what, nic):
        self.client.ip("addr", what, f"{EXTRA[family]}/{width(family)}", "dev", nic,
                       *(["nodad"] if family == 6 and what == "add" else []))

    def asked_again(self, pair, count, place):
        def asked():
            pair.exchange(1)
            return len(self.notes()) >= count
        wait_for(asked, "the callout is asked", every=0.1)
        pair.exchange()
        inbound = self.told(count)["arrival"] != 0  # whichever packet was first
        self.expect(count, place, PROFILE_CROSSING, inbound, "nic0")

    def case(self, kind):
        asked = 0
        for family in (4, 6):
            place = f"connect_v{family}"
            pair, other = (Pair(self, family, kind, near, server(family)) for near in (EXTRA[family], own(family)))
            self.expect(asked + 2, place, 0, False, "nic0")
            self.address(family, "add", "nic1")
            self.asked_again(pair, asked + 3, place)
            self.address(family, "delete", "nic1")
            self.asked_again(pair, asked + 4, place)
            other.exchange()
            self.told(asked + 4)
            asked += 4

    def test_connections_of_an_address_that_comes_and_goes(self):
        self.case(socket.SOCK_STREAM)

    def test_datagrams_of_an_address_that_comes_and_goes(self):
        self.case(socket.SOCK_DGRAM)


if __name__ == "__main__":
    unittest.main(verbosity=2)
