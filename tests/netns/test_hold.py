# SPDX-License-Identifier: Apache-2.0
"""A connection is held until somebody decides, and then comes out as if nothing had been."""
import errno
import os
import random
import re
import select
import subprocess
import sys
import time
import unittest

from harness import *


class Hold(SluiceTest):
    def setUp(self):
        super().setUp()
        self.serve()
        self.host()
        self.daemon.ask(4, remote="10.91.0.0/24", port=80)
        self.daemon.ask(6, remote="fd91::/64", port=80)
        self.cap = self.capture()

    def held_curl(self, family, seconds, permit):
        target = SERVER4 if family == 4 else f"[{SERVER6}]"
        known = {h["id"] for h in self.daemon.holds()}
        curl = self.popen(self.client, "curl", "-s", "--noproxy", "*", "--max-time", seconds + 30, f"http://{target}/",
                          stdout=subprocess.PIPE, text=True)
        hold = wait_for(lambda: [h for h in self.daemon.holds() if h["id"] not in known], "curl is held")[0]
        self.assertEqual(hold["pid"], curl.pid)
        self.assertTrue(hold["exe"].endswith("/curl"), hold["exe"])
        self.assertEqual(hold["protocol"], "tcp")
        self.assertEqual(hold["uid"], 0)
        self.assertIn(server(family), hold["remote"])
        return curl, hold

    def check_after(self, hold, decided, permit):
        local_port = int(re.search(r"(\d+)$", hold["local"]).group(1))
        if permit:
            wait_for(lambda: self.cap.syns(80, local_port), "the SYN in the capture", 10)
        syns = self.cap.syns(80, local_port)
        if not permit:
            self.assertEqual(self.cap.packets(TCP, sport=local_port), [], "a packet of a blocked flow")
            return
        self.assertEqual(len(syns), 1, f"SYNs of the flow: {syns}")
        self.assertGreaterEqual(syns[0].time, decided, "SYN before the verdict")
        self.assertEqual([p for p in self.cap.packets(TCP, sport=local_port) if p.time < decided], [])

    def curl_case(self, family, seconds, permit):
        curl, hold = self.held_curl(family, seconds, permit)
        time.sleep(seconds)
        self.assertIsNone(curl.poll(), "curl waits")
        decided = self.permit(hold) if permit else self.block(hold)
        out, _ = curl.communicate(timeout=5 * SLACK)
        took = time.time() - decided
        if permit:
            self.assertEqual((curl.returncode, out), (0, "hello\n"))
        else:
            self.assertEqual(curl.returncode, 7)
        self.assert_soon(took, 1, f"curl {'answered' if permit else 'failed'} v{family} after {seconds} s, from the command on")
        self.check_after(hold, decided, permit)
        self.assertEqual(self.daemon.holds(), [])

    def test_v4_held_100_ms_permitted(self):
        self.curl_case(4, 0.1, True)

    def test_v6_held_100_ms_permitted(self):
        self.curl_case(6, 0.1, True)

    def test_v4_held_100_ms_blocked(self):
        self.curl_case(4, 0.1, False)

    def test_v6_held_100_ms_blocked(self):
        self.curl_case(6, 0.1, False)

    def test_v4_held_5_s_permitted(self):
        self.curl_case(4, 5, True)

    def connect_returns(self, seconds):
        """connect() returns within 200 ms of the permit, when the next retransmission is seconds away."""
        attempts = {}
        for family in (4, 6):
            attempt = self.attempt(server(family))
            hold = self.daemon.wait_hold(layer=f"ale_auth_connect_v{family}")
            attempts[family] = (attempt, hold)
        blocked = self.attempt()
        known = {hold["id"] for _, hold in attempts.values()}
        blocked_hold = wait_for(lambda: [h for h in self.daemon.holds() if h["id"] not in known], "third hold")[0]
        time.sleep(seconds)
        for family, (attempt, hold) in attempts.items():
            self.assertIsNone(attempt.ended, "connect() waits")
            self.assertEqual(self.cap.packets(TCP, sport=attempt.port), [])
            port = attempt.port
            decided = self.permit(hold)
            self.assertEqual(attempt.wait(), 0)
            self.assert_soon(attempt.ended - decided, 1, f"connect() v{family} after {seconds} s returned after `hold permit` began by")
            attempt.socket.sendall(b"ping" * 1000)
            self.assertEqual(attempt.socket.recv(4000)[:4], b"ping")
            rto = float(re.search(r"\brto:([\d.]+)", self.ss(port)).group(1))
            measured(f"rto v{family} after a hold of {seconds} s", rto, "ms")
            self.assertLess(rto, 1000)
            self.assertEqual(len(self.cap.settled_syns(1, 80, port)), 1)
            self.assertGreaterEqual(self.cap.syns(80, port)[0].time, decided)
        port = blocked.port
        decided = self.block(blocked_hold)
        self.assertEqual(blocked.wait(), errno.ECONNREFUSED)
        self.assert_soon(blocked.ended - decided, 1, f"blocked after {seconds} s")
        self.assertEqual(self.cap.packets(TCP, sport=port), [])

    def test_connect_returns_at_once_after_5_s(self):
        self.connect_returns(5)

    def test_retransmissions_are_dropped_and_counted(self):
        attempt = self.attempt()
        hold = self.daemon.wait_hold()
        time.sleep(3.5)
        self.assertGreaterEqual(self.daemon.reason("HELD"), 1)
        self.permit(hold)
        self.assertEqual(attempt.wait(), 0)
        self.assertEqual(len(self.cap.settled_syns(1, 80, attempt.port)), 1)

    def test_no_upcall_after_the_verdict(self):
        attempt = self.attempt()
        self.permit(self.daemon.wait_hold())
        self.assertEqual(attempt.wait(), 0)
        before = self.daemon.reason("UPCALL")
        for _ in range(50):
            attempt.socket.sendall(b"x" * 2000)
            left = 2000
            while left:
                left -= len(attempt.socket.recv(left))
        self.assertEqual(self.daemon.reason("UPCALL"), before, "upcalls of a decided flow")
        self.assertGreater(before, 0)

    def test_hold_show_and_text_name_the_connection(self):
        self.attempt()
        hold = self.daemon.wait_hold()
        for text in (self.daemon.do("hold", "list"), self.daemon.do("hold", "show", hold["id"])):
            for word in (str(os.getpid()), "python3", SERVER4, "80"):
                self.assertIn(word, text)
        keys = ("id state layer filter callout host age_ms deadline_ms pid exe uid cgroup compartment protocol local "
                "remote packets bytes").split()
        self.assertEqual([k for k in keys if k not in hold], [])
        self.assertGreater(self.daemon.wait_hold()["age_ms"], 0)

    def test_1000_held_at_once_and_completed_in_random_order(self):
        order = random.Random(seed := random.randrange(1 << 32))
        print(f"seed {seed}")
        sockets = {}
        for n in range(1000):
            s = self.client.socket(socket.AF_INET if n % 2 else socket.AF_INET6)
            self.addCleanup(s.close)
            s.setblocking(False)
            s.connect_ex((SERVER4 if n % 2 else SERVER6, 80))
            sockets[(n % 2, s.getsockname()[1])] = s
        holds = wait_for(lambda: (h := self.daemon.holds()) and len(h) == 1000 and h, "1000 holds", 30, 0.2)
        self.assertEqual(self.cap.packets(TCP, dport=80), [])
        order.shuffle(holds)
        decided = {}
        began = time.time()
        for hold in holds:
            key = (int(hold["layer"].endswith("v4")), int(re.search(r"(\d+)$", hold["local"]).group(1)))
            permit = order.random() < 0.5
            (self.permit if permit else self.block)(hold)
            decided[key] = (permit, time.time())
        measured("1000 holds decided one command each in", time.time() - began, "s")
        for key, (permit, _) in decided.items():
            s = sockets[key]
            self.assertTrue(select.select([], [s], [], 10 * SLACK)[1], "connect() ended")
            self.assertEqual(s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), 0 if permit else errno.ECONNREFUSED)
        permitted = sum(permit for permit, _ in decided.values())
        syns = {(int(":" not in p.source), p.sport) for p in self.cap.settled_syns(permitted, 80)}
        self.assertEqual(syns, {k for k, (permit, _) in decided.items() if permit})
        self.assertEqual(len(self.cap.syns(80)), len(syns), "one SYN each")
        self.assertEqual(self.daemon.holds(), [])

    def test_loopback_is_held_too(self):
        self.serve(namespace=self.client, port=81)
        self.daemon.ask(4, remote="127.0.0.0/8", port=81)
        self.daemon.ask(6, remote="::1", port=81)
        for family, address in ((4, "127.0.0.1"), (6, "::1")):
            for permit in (True, False):
                attempt = self.attempt(address, 81)
                hold = self.daemon.wait_hold(layer=f"ale_auth_connect_v{family}")
                time.sleep(0.3)
                self.assertIsNone(attempt.ended)
                (self.permit if permit else self.block)(hold)
                self.assertEqual(attempt.wait(), 0 if permit else errno.ECONNREFUSED, f"{address} {permit}")
                if permit:
                    attempt.socket.sendall(b"echo")
                    self.assertEqual(attempt.socket.recv(4), b"echo")

    def test_what_leaves_by_another_interface_is_refused(self):
        """A filter that needs user space cannot be served where Sluice is not loaded: refused, with a reason of its own."""
        self.client.ip("link", "add", "other0", "type", "veth", "peer", "name", "other1", "netns", self.far.name)
        self.far.ip("link", "set", "other1", "up")
        self.client.ip("link", "set", "other0", "up")
        self.client.ip("addr", "add", "10.99.0.1/24", "dev", "other0")
        self.client.ip("neigh", "add", "10.99.0.2", "lladdr", "02:00:00:00:00:02", "dev", "other0")
        self.daemon.ask(4, remote="10.99.0.0/24")
        out = self.capture(self.client, "other0")
        attempt = self.attempt("10.99.0.2")
        wait_for(lambda: self.daemon.reason("NO_NIC"), "counted")
        self.assertFalse([p for p in map(parse, out.frames) if p and p.protocol == TCP])


class Udp(SluiceTest):
    def setUp(self):
        super().setUp()
        self.sink = self.serve(port=5000)
        self.host()
        self.daemon.ask(4, remote="10.91.0.0/24", port=5000, protocol="udp")
        self.daemon.ask(6, remote="fd91::/64", port=5000, protocol="udp")
        self.cap = self.capture()

    def one_datagram(self, family, seconds):
        s = self.datagram_socket(family)
        s.sendto(b"only one", (server(family), 5000))
        hold = self.daemon.wait_hold(protocol="udp")
        self.assertEqual(hold["pid"], os.getpid())
        time.sleep(seconds)
        self.assertEqual(self.sink.datagrams, [])
        decided = self.permit(hold)
        wait_for(lambda: self.sink.datagrams, "the datagram arrives")
        time.sleep(0.5)
        self.assertEqual([d for _, d, _ in self.sink.datagrams], [b"only one"])
        self.assert_soon(self.sink.datagrams[0][0] - decided, 1, f"UDP v{family} arrived after `hold permit` began by")
        self.assertEqual(len(self.cap.packets(UDP, dport=5000)), 1)

    def test_one_datagram_v4_held_100_ms_arrives_once(self):
        self.one_datagram(4, 0.1)

    def test_two_families_share_nothing(self):
        for family in (4, 6):
            self.datagram_socket(family).sendto(b"%d" % family, (server(family), 5000))
        wait_for(lambda: len(self.daemon.holds()) == 2, "two holds")
        self.permit(self.daemon.holds(layer="ale_auth_connect_v6")[0])
        wait_for(lambda: self.sink.datagrams, "v6 arrives")
        self.assertEqual(self.sink.datagrams[0][1], b"6")
        self.assertEqual(len(self.daemon.holds()), 1)

    def test_another_socket_with_the_same_addresses_is_asked_about_anew(self):
        """What was permitted, or refused, to a socket that is closed is nothing to the next one that gets its port."""
        port = None
        for decide in (self.permit, self.block, self.permit):
            s = self.client.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.bind(("0.0.0.0", port or 0))
            port = s.getsockname()[1]
            s.connect((SERVER4, 5000))
            s.send(b"?")
            decide(self.daemon.wait_hold(protocol="udp"))
            if decide == self.permit:
                s.send(b"!")  # the same socket: nobody is asked
                self.assertEqual(self.daemon.holds(), [])
            s.close()
        wait_for(lambda: len(self.sink.datagrams) >= 4, "what was permitted arrives")
        self.assertEqual([d for _, d, _ in self.sink.datagrams], [b"?", b"!"] * 2)

    def never_pausing(self, family, gap):
        s = self.datagram_socket(family, connect=5000)
        stop = time.time() + 3
        permitted, sent, hold = None, 0, None
        while time.time() < stop:
            s.send(b"%08d" % sent)
            sent += 1
            if sent == 20:
                hold = self.daemon.wait_hold()
            if permitted is None and hold and time.time() > stop - 2:
                # in the background: the sender never pauses
                permitted = subprocess.Popen([str(SLUICE), "--socket", str(self.daemon.socket), "hold", "permit", str(hold["id"])],
                                             stdout=subprocess.DEVNULL)
            time.sleep(gap)
        self.assertEqual(permitted.wait(), 0)
        time.sleep(0.5)
        got = [int(d) for _, d, _ in list(self.sink.datagrams)]
        print(f"sent {sent}, arrived {len(got)}")
        self.assertEqual(got, sorted(got), "order")
        self.assertEqual(got[0], 0, "the first one comes first")
        self.assertEqual(got, list(range(sent)), "nothing is lost within the quota")
        self.assertEqual(self.daemon.holds(), [])

    # ctest: vm
    def test_later_datagrams_in_order_v4(self):
        self.never_pausing(4, 0.01)

    def test_later_datagrams_in_order_v6(self):
        self.never_pausing(6, 0.01)

    def test_later_datagrams_in_order_from_a_fast_sender(self):
        self.never_pausing(4, 0.003)

    def test_sender_that_exits_at_once_is_listed_with_its_executable(self):
        # an executable of its own, so that no other process keeps the file open
        mine = self.directory / "short_lived"
        shutil.copy("/bin/bash", mine)
        sender = self.client.popen(mine, "-c", f"echo -n bye > /dev/udp/{SERVER4}/5000")
        self.assertEqual(sender.wait(), 0)
        hold = self.daemon.wait_hold()
        self.assertEqual(hold["pid"], sender.pid)
        # the path is the kernel's own view: longer than ours where the test stands in a chroot
        self.assertTrue(hold["exe"].endswith(str(mine)), hold["exe"])
        self.permit(hold)
        wait_for(lambda: self.sink.datagrams, "the datagram arrives")

    def test_blocked_datagrams_never_arrive(self):
        s = self.datagram_socket(4)
        for n in range(5):
            s.sendto(b"%d" % n, (SERVER4, 5000))
        self.block(self.daemon.wait_hold())
        time.sleep(0.5)
        self.assertEqual(self.cap.packets(UDP, dport=5000), [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
