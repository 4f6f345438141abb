# SPDX-License-Identifier: Apache-2.0
"""What tests of binds and listens have in common: the plugin usher, sockets, what holds show of them."""
import errno
import json
import os
import socket
import time

from harness import *

USHER = BUILD / "tests/netns/usher.so"
CALLOUTS = tuple(f"usher_{what}_v{family}" for what in ("bind", "listen", "release", "closure") for family in (4, 6))
LAYERS = {"bind": "ale_resource_assignment", "listen": "ale_auth_listen", "release": "ale_resource_release",
          "closure": "ale_endpoint_closure"}
REUSE = [(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)]


def own(family):
    return CLIENT4 if family == 4 else CLIENT6


def wildcard(family):
    return "0.0.0.0" if family == 4 else "::"


class OperationsTest(SluiceTest):
    environment = {}

    def setUp(self):
        super().setUp()
        self.notes_file = self.directory / "notes"
        self.usher = self.host(USHER, callouts=CALLOUTS,
                               environment=dict(self.environment, USHER_LOG=str(self.notes_file)))

    def ask_at(self, what, *families, action="callout", **options):
        return [self.daemon.filter(f"{LAYERS[what]}_v{family}", action, f"usher_{what}_v{family}", **options)
                for family in families or (4, 6)]

    def notes(self, **wanted):
        """What the plugin was asked and told."""
        if not self.notes_file.exists():
            return []
        all_notes = [json.loads(line) for line in self.notes_file.read_text().splitlines()]
        return [n for n in all_notes if all(n[k] == v for k, v in wanted.items())]

    def socket(self, family=4, kind=socket.SOCK_STREAM, address=None, port=0, options=(), listen=False, bind=True):
        """Each call of it returns at once."""
        s = self.client.socket(af(family), kind)
        self.addCleanup(s.close)
        for level, option, value in options:
            s.setsockopt(level, option, value)
        began = time.monotonic()
        if bind:
            s.bind((address or wildcard(family), port))
        if listen:
            s.listen(16)
        self.assertLess(time.monotonic() - began, 1 * SLACK, "bind() and listen() do not wait")
        return s

    def listener(self, family=4, **options):
        return self.socket(family, listen=True, **options)

    def connect(self, family, port, **options):
        """From the other machine."""
        return self.attempt(own(family), port, namespace=self.far, **options)

    def send_to(self, family, port, data):
        s = self.far.socket(af(family), socket.SOCK_DGRAM)
        self.addCleanup(s.close)
        s.connect((own(family), port))
        s.send(data)
        return s

    def hold_of(self, s, **wanted):
        return self.daemon.wait_hold(state="held", local=self.name_of(s), **wanted)

    @staticmethod
    def name_of(s):
        address, port = s.getsockname()[:2]
        return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"

    def waits(self, hold, packets):
        wait_for(lambda: self.daemon.holds(id=hold["id"])[0]["packets"] == packets, f"{packets} packets wait")

    def is_gone(self, s):
        """The kernel has ended the socket."""
        return s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNABORTED

    def said(self, local, layer):
        """The event of a refusal of what was bound to this end."""
        def events():
            all_events = map(json.loads, self.daemon.do("events", "--json").splitlines())
            return [e for e in all_events if e["local"] == local and e["reason"] == "DP_REASON_BIND_BLOCKED"]
        event = wait_for(events, "an event that says so")[0]
        self.assertEqual((event["type"], plain(event["layer"]), event["pid"], event["remote"]),
                         ("drop", layer, os.getpid(), "-"))

    def balances(self, opened):
        reason = self.daemon.reason
        self.assertEqual(reason("HOLD_OPENED"), opened)
        self.assertEqual(reason("HOLD_PERMITTED") + reason("HOLD_BLOCKED") + reason("HOLD_EXPIRED") +
                         reason("HOLD_ABANDONED"), opened)
