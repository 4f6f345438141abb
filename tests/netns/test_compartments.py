# SPDX-License-Identifier: Apache-2.0
"""What is seen in one namespace is injected into another one, by a host that serves both.

        client (from) ══ far                      client (to) ══ far
          10.91.0.1       10.91.0.2  10.99.0.2      10.91.0.1      10.91.0.2  10.98.0.5

The two pairs have the same addresses, so that a packet fits either."""
import json
import socket
import unittest

from harness import BUILD, CLIENT4, CLIENT6, SERVER4, SERVER6, SLACK, SluiceTest, Topology, af, server, wait_for

SUCCESS = 0
AWAY = {4: ("10.99.0.2", "10.98.0.5"), 6: ("fd99::2", "fd98::5")}


class Compartments(SluiceTest):
    def setUp(self):
        super().setUp()
        self.other = Topology()
        self.addCleanup(self.other.delete)
        self.daemon.do("nic", "load", "nic0", namespace=self.other.client)
        self.addCleanup(lambda: self.daemon.run("nic", "unload", "nic0", namespace=self.other.client))
        self.log = self.directory / "carrier.log"
        with self.other.client.entered():
            index = socket.if_nametoindex("nic0")
        self.here, self.there = 2, 3  # 1 is the daemon's own
        self.host(BUILD / "tests/netns/carrier.so", callouts=("carry_in_v4", "carry_in_v6", "carry_out"),
                  environment={"CARRIER_TO": str(self.there), "CARRIER_INTERFACE": str(index), "CARRIER_LOG": str(self.log)})
        for layer, callout in (("inbound_ippacket_v4", "carry_in_v4"), ("inbound_ippacket_v6", "carry_in_v6"),
                               ("outbound_mac_frame_ethernet", "carry_out")):
            self.daemon.filter(layer, "callout", callout)

    def notes(self, what):
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [(n["a"], n["b"]) for n in map(json.loads, lines) if n["what"] == what]

    def receiver(self, namespace, address, port, family):
        s = namespace.socket(af(family), socket.SOCK_DGRAM)
        self.addCleanup(s.close)
        s.bind((address, port))
        s.settimeout(5 * SLACK)
        return s

    def carried(self, port, family, sender, source, target, original, carried):
        """A datagram from `sender` arrives where `carried` is, and not where it was sent to. Both are (namespace, address)."""
        waits, gets = (self.receiver(*place, port, family) for place in (original, carried))
        with sender.socket(af(family), socket.SOCK_DGRAM) as s:
            s.bind((source, 0))
            s.sendto(b"%d" % family, (target, port))
            self.assertEqual(gets.recvfrom(100), (b"%d" % family, s.getsockname()))
        waits.settimeout(0.3)
        with self.assertRaises(TimeoutError):
            waits.recv(100)
        with self.assertRaises(TimeoutError):
            gets.settimeout(0.3)
            gets.recv(100)

    def all_completed(self, count):
        wait_for(lambda: len(self.notes("completed")) == count, "they are completed")
        self.assertEqual({status for status, _ in self.notes("completed")}, {SUCCESS})
        self.assertEqual({status for _, status in self.notes("carried")}, {SUCCESS})

    def test_received(self):
        """Into the receive path: the layers of the other compartment see it, as ours."""
        for port in (9001, 9002):
            for family, here, there in ((4, CLIENT4, SERVER4), (6, CLIENT6, SERVER6)):
                self.carried(port, family, self.far, there, here, (self.client, here), (self.other.client, here))
        self.all_completed(4)
        for port, states in ((9001, 12), (9002, 21)):  # by itself for one handle, by another for the other
            self.assertEqual([n for p, n in self.notes("seen") if p == port],
                             2 * [self.here * 100, self.there * 100 + states])

    def test_sent(self):
        for family, here, there in ((4, CLIENT4, SERVER4), (6, CLIENT6, SERVER6)):
            self.carried(9004, family, self.client, here, there, (self.far, there), (self.other.server, there))
        self.all_completed(2)

    def test_forwarded(self):
        """What passes is forwarded by the routes of the other one."""
        # Neighbours are asked for by link-local addresses where the packet's own are elsewhere.
        for n, (namespace, device) in enumerate(((self.other.client, "nic0"), (self.other.server, "peer0"), (self.far, "peer0"))):
            namespace.ip("addr", "add", f"fe80::{n + 1}/64", "dev", device, "nodad")
        self.other.client.run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
        for family, here, there in ((4, CLIENT4, SERVER4), (6, CLIENT6, SERVER6)):
            source, target = AWAY[family]
            bits = 32 if family == 4 else 128
            self.far.ip("addr", "add", f"{source}/{bits}", "dev", "lo", *(() if family == 4 else ("nodad",)))
            self.other.server.ip("addr", "add", f"{target}/{bits}", "dev", "lo", *(() if family == 4 else ("nodad",)))
            self.far.ip(*(() if family == 4 else ("-6",)), "route", "add", f"{target}/{bits}", "via", here)
            self.other.client.ip(*(() if family == 4 else ("-6",)), "route", "add", f"{target}/{bits}", "via", there)
            self.other.server.ip(*(() if family == 4 else ("-6",)), "route", "add", f"{source}/{bits}", "via", here)
            self.carried(9003, family, self.far, source, target, (self.client, here), (self.other.server, target))
        self.all_completed(2)

    def test_where_there_is_none(self):
        """With its last NIC a compartment is gone: nothing is taken any more."""
        self.daemon.do("nic", "unload", "nic0", namespace=self.other.client)
        with self.far.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.sendto(b"x", (CLIENT4, 9001))
            wait_for(lambda: self.notes("carried"), "it is refused")
        self.assertEqual(self.notes("carried"), [(9001, 0xC0220100)])
        self.assertEqual(self.notes("completed"), [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
