# SPDX-License-Identifier: Apache-2.0
"""Redirected traffic that does not fit the path: segments of large sends over small MTUs, and datagrams in fragments."""
import os
import socket
import unittest

from harness import SERVER4, SERVER6, SLACK, server
from redirecting import LOOPBACK, OTHER, UNUSED, host_port
from test_redirect_held import CalloutTest

TOTAL = 32 << 20


class Sizes(CalloutTest):
    def mtu(self, bytes_):
        self.client.ip("link", "set", "nic0", "mtu", str(bytes_))
        self.far.ip("link", "set", "peer0", "mtu", str(bytes_))

    def ways(self, family, port):
        """To loopback and to another machine, by a filter and by a callout: filters that redirect UNUSED, one at a time."""
        self.target(LOOPBACK[family], port)
        self.target(OTHER[family], port, self.far)
        for place, address in (("loopback", LOOPBACK[family]), ("remote", OTHER[family])):
            name = f"{place}{family}"
            host = self.callout(name, port, **{f"v{family}": address})
            for way in ("kernel", "held"):
                one = (self.redirect(host_port(address, port), remote_port=UNUSED) if way == "kernel" else
                       self.send(name, family, remote_port=UNUSED))
                yield place, way
                self.daemon.do("filter", "delete", one)
            host.stop()

    def assert_offloads(self, device):
        features = self.client.run("ethtool", "-k", device).stdout
        for feature in ("tcp-segmentation-offload", "generic-segmentation-offload"):
            self.assertIn(f"{feature}: on", features)

    def test_small_mtu_v4(self):
        self.mtu(576)
        self.assert_offloads("nic0")
        for place, way in self.ways(4, 9501):
            with self.subTest(place=place, way=way):
                self.assert_echoes(SERVER4, UNUSED, TOTAL)

    def test_small_mtu_v6(self):
        self.mtu(1280)
        for place, way in self.ways(6, 9502):
            with self.subTest(place=place, way=way):
                self.assert_echoes(SERVER6, UNUSED, TOTAL)

    def fragments(self, family):
        self.client.ip("link", "set", "lo", "mtu", "1500")
        for place, way in self.ways(family, 9503):
            for kind in ("connected", "unconnected"):
                with self.subTest(place=place, way=way, kind=kind), self.client.socket(
                        socket.AF_INET6 if family == 6 else socket.AF_INET, socket.SOCK_DGRAM) as s:
                    s.settimeout(5 * SLACK)
                    if kind == "connected":
                        s.connect((server(family), UNUSED))
                    for size in (100, 4000, 20000, 100, 60000):
                        data = b"echo" + os.urandom(size)
                        s.send(data) if kind == "connected" else s.sendto(data, (server(family), UNUSED))
                        answer, source = s.recvfrom(65536)
                        self.assertEqual((len(answer), source[:2]), (len(data), (server(family), UNUSED)))
                        self.assertEqual(answer, data)

    def test_fragments_v4(self):
        self.fragments(4)

    def test_fragments_v6(self):
        self.fragments(6)


if __name__ == "__main__":
    unittest.main()
