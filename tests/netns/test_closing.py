# SPDX-License-Identifier: Apache-2.0
"""ALE_ENDPOINT_CLOSURE and ALE_RESOURCE_RELEASE: told once for each socket."""
import errno
import os
import socket
import time
import unittest

from operations import *


class Closing(OperationsTest):
    """Told, not asked: each socket's end once."""

    def setUp(self):
        super().setUp()
        self.ask_at("release")
        self.ask_at("closure")

    def told(self, what, family, **wanted):
        """The one notice of this kind; its fields."""
        name = f"{what}_v{family}"
        wait_for(lambda: self.notes(layer=name, **wanted), f"{name} with {wanted}")
        time.sleep(0.2)
        notes = self.notes(layer=name, **wanted)
        self.assertEqual(len(notes), 1, notes)
        self.assertEqual(notes[0]["pid"], os.getpid())
        self.assertNotEqual(notes[0]["endpoint"], 0)
        return notes[0]

    @staticmethod
    def value(address):
        if ":" in address:
            return socket.inet_pton(socket.AF_INET6, address).hex()
        return int.from_bytes(socket.inet_aton(address), "big")

    def test_datagram_sockets(self):
        for family in (4, 6):
            s = self.socket(family, socket.SOCK_DGRAM)
            port = s.getsockname()[1]
            for n in range(3):
                s.sendto(b"x", (server(family), 5000 + n))
            s.close()
            closure, release = self.told("closure", family, port=port), self.told("release", family, port=port)
            self.assertEqual(closure["endpoint"], release["endpoint"])
            for note in (closure, release):
                self.assertEqual((note["local"], note["protocol"], note["parent"]), (None, UDP, 0))
            self.assertEqual((closure["remote"], closure["remote_port"]), (None, None), "however many peers it had")
            connected = self.socket(family, socket.SOCK_DGRAM, bind=False)  # bound by the way
            connected.connect((server(family), 5000))
            connected.send(b"x")
            port = connected.getsockname()[1]
            connected.close()
            closure = self.told("closure", family, port=port)
            self.assertEqual((closure["local"], closure["remote"], closure["remote_port"]),
                             (self.value(own(family)), self.value(server(family)), 5000))
            self.told("release", family, port=port)

    def test_connections_and_listeners(self):
        self.serve()
        for family in (4, 6):
            attempt = self.attempt(server(family))
            self.assertEqual(attempt.wait(), 0)
            port = attempt.port
            attempt.close()
            closure = self.told("closure", family, port=port)
            self.assertEqual((closure["local"], closure["remote"], closure["remote_port"], closure["protocol"], closure["parent"]),
                             (self.value(own(family)), self.value(server(family)), 80, TCP, 0))
            self.assertEqual(self.told("release", family, port=port)["endpoint"], closure["endpoint"])
            s = self.listener(family, address=own(family))
            port = s.getsockname()[1]
            peer = self.connect(family, port)
            self.assertEqual(peer.wait(), 0)
            accepted, (_, remote_port, *_) = s.accept()
            s.close()
            listener = self.told("closure", family, port=port, remote_port=None)
            self.assertEqual((listener["local"], listener["remote"], listener["parent"]), (self.value(own(family)), None, 0))
            accepted.close()
            peer.close()
            connection = self.told("closure", family, port=port, remote_port=remote_port)
            self.assertEqual(connection["parent"], listener["endpoint"])
            self.assertNotEqual(connection["endpoint"], listener["endpoint"])
            self.assertEqual(self.told("release", family, port=port)["endpoint"], listener["endpoint"])

    def test_what_never_connected_has_its_port_released_alone(self):
        attempt = self.attempt(SERVER4, 81, bind=("0.0.0.0", 0))
        self.assertEqual(attempt.wait(), errno.ECONNREFUSED)
        attempt.socket.close()
        wait_for(lambda: self.notes(layer="release_v4"), "the release")
        time.sleep(0.3)
        self.assertEqual([n["layer"] for n in self.notes()], ["release_v4"])

    def test_raw_sockets(self):
        for family, protocol in ((4, socket.IPPROTO_ICMP), (6, socket.IPPROTO_ICMPV6)):
            self.client.socket(af(family), socket.SOCK_RAW, protocol).close()
            for what in ("release", "closure"):
                note = self.told(what, family)
                self.assertEqual((note["protocol"], note["local"]), (protocol, None))

    def test_filters_without_a_callout_stop_nothing(self):
        for what in ("release", "closure"):
            self.daemon.filter(f"{LAYERS[what]}_v4", "permit", weight=15, condition="local_port: 7777")
        for port in (7777, 7778):
            self.socket(4, socket.SOCK_DGRAM, port=port).close()
        self.told("closure", 4, port=7778)
        self.told("release", 4, port=7778)
        self.assertEqual(self.notes(port=7777), [], "a filter before the callout's ends the sublayer")


if __name__ == "__main__":
    unittest.main(verbosity=2)
