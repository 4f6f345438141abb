# SPDX-License-Identifier: Apache-2.0
"""Binds and listens that somebody decides: the call returns at once, the socket's traffic waits."""
import contextlib
import errno
import os
import socket
import time
import unittest

from operations import *


class Listening(OperationsTest):
    def test_it_waits_and_is_permitted(self):
        self.ask_at("listen")
        for family in (4, 6):
            s = self.listener(family)
            port = s.getsockname()[1]
            hold = self.hold_of(s, layer=f"ale_auth_listen_v{family}")
            self.assertEqual((hold["pid"], hold["protocol"], hold["remote"]), (os.getpid(), "tcp", ""))
            attempt = self.connect(family, port)
            self.waits(hold, 1)
            time.sleep(1.5)  # the peer sends its SYN again
            self.assertIsNone(attempt.ended)
            self.assertEqual(self.daemon.holds(id=hold["id"])[0]["packets"], 1, "one SYN waits, not its copy")
            permitted = self.permit(hold)
            self.assertEqual(attempt.wait(), 0)
            self.assert_soon(attempt.ended - permitted, 1, f"from permit to connected, v{family}: the SYN that waited")
            s.accept()[0].close()
            self.assertEqual(self.connect(family, port).wait(), 0, "nobody is asked again")
        self.assertEqual(len(self.notes()), 2)
        self.balances(2)

    def test_the_peers_estimate_of_the_way_is_not_that_of_the_hold(self):
        self.ask_at("listen")
        for family in (4, 6):
            s = self.listener(family)
            port = s.getsockname()[1]
            attempt = self.connect(family, port)
            hold = self.hold_of(s)
            self.waits(hold, 1)
            time.sleep(2.4)
            self.permit(hold)
            self.assertEqual(attempt.wait(), 0)
            held = self.rto(port)
            unheld = self.connect(family, port)
            self.assertEqual(unheld.wait(), 0)
            attempt.close()
            self.assertLessEqual(held, 2 * self.rto(port), f"rto in ms, v{family}")

    def rto(self, port):
        """In milliseconds, of the peer's connection to this port."""
        text = self.far.run("ss", "-tinH", "state", "established", f"dport = :{port}").stdout
        value = float(text.split("rto:")[1].split()[0])
        measured("rto of the peer", value, "ms")
        return value

    # ctest: vm
    def test_blocking_ends_the_socket(self):
        self.ask_at("listen")
        for family in (4, 6):
            s = self.listener(family)
            port, name = s.getsockname()[1], self.name_of(s)
            attempt = self.connect(family, port)
            hold = self.hold_of(s)
            self.waits(hold, 1)
            self.block(hold)
            wait_for(lambda: self.is_gone(s), "the listener is ended")
            self.assertEqual(attempt.wait(), errno.ECONNREFUSED, "the SYN that it sends next finds nobody")
            self.said(name, f"ale_auth_listen_v{family}")
        self.balances(2)

    def test_two_families_on_one_socket(self):
        self.ask_at("listen")
        s = self.listener(6, options=[(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)])
        port = s.getsockname()[1]
        hold = self.hold_of(s, layer="ale_auth_listen_v6")
        attempts = [self.connect(family, port) for family in (4, 6)]
        self.waits(hold, 2)
        self.permit(hold)
        self.assertEqual([a.wait() for a in attempts], [0, 0])
        self.assertEqual(len(self.notes()), 1)

    def test_listening_again_is_no_second_question(self):
        self.ask_at("listen")
        s = self.listener()
        hold = self.hold_of(s)
        s.listen(17)
        self.permit(hold)
        wait_for(lambda: self.daemon.holds() == [], "no hold")
        s.listen(18)
        self.assertEqual(self.connect(4, s.getsockname()[1]).wait(), 0)
        self.assertEqual(len(self.notes()), 1)

    def test_each_socket_of_a_group_is_asked_about(self):
        self.ask_at("listen")
        for family in (4, 6):
            first = self.listener(family, options=REUSE)
            port = first.getsockname()[1]
            hold = self.hold_of(first)
            second = self.listener(family, port=port, options=REUSE)
            holds = wait_for(lambda: len(h := self.daemon.holds(state="held")) == 2 and h, "a hold for each")
            other = next(h for h in holds if h["id"] != hold["id"])
            self.permit(hold)
            attempts = [self.connect(family, port) for _ in range(16)]
            done = wait_for(lambda: len(d := [a for a in attempts if a.ended]) + self.daemon.holds(id=other["id"])[0]["packets"] == 16 and d,
                            "each is connected or waits")
            measured("of 16 connections, those to the permitted socket", len(done), "")
            self.assertTrue(0 < len(done) < 16, "both sockets were found")
            self.assertEqual([a.error for a in done], [0] * len(done))
            self.block(other)
            wait_for(lambda: self.is_gone(second), "the second socket is ended")
            self.assertFalse(self.is_gone(first))
            self.assertEqual([a.wait() for a in attempts], [0] * 16, "the first takes them all")

    def test_closing_abandons(self):
        self.ask_at("listen")
        s = self.listener()
        self.hold_of(s)
        s.close()
        wait_for(lambda: self.daemon.holds() == [], "no hold")
        self.balances(1)
        self.assertEqual(self.daemon.reason("HOLD_ABANDONED"), 1)


class Binding(OperationsTest):
    # ctest: vm
    def test_datagrams_wait_both_ways_and_arrive_in_order(self):
        sink = self.serve(port=5000)
        self.ask_at("bind")
        for family in (4, 6):
            s = self.socket(family, socket.SOCK_DGRAM)
            port = s.getsockname()[1]
            hold = self.hold_of(s, layer=f"ale_resource_assignment_v{family}", protocol="udp")
            self.assertNotEqual(port, 0)
            peer = self.send_to(family, port, b"0")
            for data in (b"1", b"2"):
                peer.send(data)
            before = len(sink.datagrams)
            for data in (b"a", b"b", b"c"):
                s.sendto(data, (server(family), 5000))
            self.waits(hold, 6)
            s.settimeout(0.3)
            with self.assertRaises(TimeoutError):
                s.recv(10)
            self.assertEqual(len(sink.datagrams), before)
            self.permit(hold)
            s.settimeout(10 * SLACK)
            self.assertEqual([s.recv(10) for _ in range(3)], [b"0", b"1", b"2"])
            wait_for(lambda: len(sink.datagrams) == before + 3, "three datagrams")
            self.assertEqual([d for _, d, _ in sink.datagrams[before:]], [b"a", b"b", b"c"])
        self.assertEqual(len(self.notes()), 2)
        self.balances(2)

    def test_a_refused_datagram_socket_is_ended(self):
        sink = self.serve(port=5000)
        self.ask_at("bind")
        for family in (4, 6):
            s = self.socket(family, socket.SOCK_DGRAM)
            hold, name = self.hold_of(s), self.name_of(s)
            s.sendto(b"x", (server(family), 5000))
            self.send_to(family, s.getsockname()[1], b"y")
            self.waits(hold, 2)
            self.block(hold)
            self.said(name, f"ale_resource_assignment_v{family}")
            wait_for(lambda: self.is_gone(s), "the socket is ended")
            with self.assertRaises(PermissionError):
                s.sendto(b"x", (server(family), 5000))
            s.settimeout(0.3)
            with self.assertRaises(TimeoutError):
                s.recv(10)
        self.assertEqual(sink.datagrams, [])
        self.balances(2)

    def held_clients(self):
        """One after the other: bound by itself and by connect(), whose SYN waits."""
        for family, bind in ((4, True), (6, True), (4, False), (6, False)):
            attempt = self.attempt(server(family), bind=(wildcard(family), 0) if bind else None)
            hold = self.daemon.wait_hold(state="held", layer=f"ale_resource_assignment_v{family}")
            wait_for(lambda: self.daemon.holds()[0]["packets"] == 1, "its SYN waits")
            yield attempt, hold

    def test_a_bound_client_connects_when_it_is_permitted(self):
        self.serve()
        self.ask_at("bind")
        for attempt, hold in self.held_clients():
            time.sleep(0.2)
            self.assertIsNone(attempt.ended)
            permitted = self.permit(hold)
            self.assertEqual(attempt.wait(), 0)
            self.assert_soon(attempt.ended - permitted, 0.8, "from permit to connected")
            attempt.close()

    def test_a_refused_client_is_told(self):
        self.serve()
        self.ask_at("bind")
        for attempt, hold in self.held_clients():
            self.block(hold)
            self.assertEqual(attempt.wait(), errno.ECONNREFUSED, "when its SYN is sent again")
            attempt.close()

    def test_a_listener_is_asked_about_twice(self):
        self.ask_at("bind")
        self.ask_at("listen")
        s = self.listener()
        bound = self.hold_of(s, layer="ale_resource_assignment_v4")
        listening = self.hold_of(s, layer="ale_auth_listen_v4")
        attempt = self.connect(4, s.getsockname()[1])
        self.waits(bound, 1)
        self.permit(bound)
        self.waits(listening, 1)
        self.assertIsNone(attempt.ended)
        self.permit(listening)
        self.assertEqual(attempt.wait(), 0)
        self.balances(2)

    def test_datagram_sockets_of_a_group(self):
        self.ask_at("bind")
        first = self.socket(4, socket.SOCK_DGRAM, options=REUSE)
        port = first.getsockname()[1]
        hold = self.hold_of(first)
        second = self.socket(4, socket.SOCK_DGRAM, port=port, options=REUSE)
        other = wait_for(lambda: [h for h in self.daemon.holds(state="held") if h["id"] != hold["id"]], "its hold")[0]
        self.permit(hold)
        for _ in range(16):
            self.send_to(4, port, b"x")
        first.settimeout(1 * SLACK)
        got = 0
        with contextlib.suppress(TimeoutError):
            while first.recv(10):
                got += 1
        self.assertTrue(0 < got < 16, got)
        self.waits(other, 16 - got)
        self.permit(other)
        second.settimeout(10 * SLACK)
        self.assertEqual([second.recv(10) for _ in range(16 - got)], [b"x"] * (16 - got))


if __name__ == "__main__":
    unittest.main(verbosity=2)
