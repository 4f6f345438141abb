# SPDX-License-Identifier: Apache-2.0
"""What runs out: frames of a port, room behind a hold, a host's attention. Never an allow, always counted."""
import errno
import socket
import struct
import subprocess
import sys
import time
import unittest

import bpf_maps
from harness import SERVER4, SluiceTest, TCP, UDP, parse, wait_for


class Exhausted(SluiceTest):
    start = False

    def begin(self, *options):
        command = self.daemon.command
        self.daemon.command = lambda: [*command(), *options]
        self.daemon.start()
        self.nic_load()

    def test_more_connects_than_frames(self):
        """Of 300 connects a port of 256 frames holds some; none of the others gets out."""
        self.begin("--frames", "256", "--watchdog-ms", "2000", "--holds-max", "1000", "--process-holds-max", "1000")
        self.serve()
        out = self.capture()
        self.host()
        self.daemon.ask(4, port=80)
        attempts = [self.attempt() for _ in range(300)]
        wait_for(lambda: len([a for a in attempts if a.error]) >= 300 - 192, "what finds no frame is refused", 30)
        time.sleep(3)  # the watchdog has seen the last of them
        refused = [a for a in attempts if a.ended]
        held = self.daemon.list("hold")
        self.assertGreaterEqual(len(held), 100)
        self.assertLessEqual(len(held), 192, "three quarters of the frames")
        self.assertEqual(len(refused) + len(held), 300)
        self.assertFalse([p for p in map(parse, out.frames) if p and p.protocol == TCP], "nothing got out")
        self.assertGreaterEqual(self.daemon.reason("CALLOUT_BLOCK") + self.daemon.reason("HOLD_EXPIRED"), len(refused))
        for hold in held:
            self.daemon.do("hold", "permit", hold["id"])
        wait_for(lambda: len([a for a in attempts if a.error == 0]) == len(held), "the held ones connect", 20)

    def test_more_queued_bytes_than_the_quota(self):
        """Behind one held datagram 64 KiB wait; what is beyond is dropped and counted, and order is kept."""
        self.begin()
        self.host()
        self.daemon.ask(4, port=80, protocol="udp")
        receiver = self.far.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(receiver.close)
        receiver.bind((SERVER4, 80))
        sender = self.datagram_socket(connect=80)
        for n in range(100):
            sender.send(n.to_bytes(2, "big") + bytes(998))
        hold = self.daemon.wait_hold()
        wait_for(lambda: self.daemon.reason("HOLD_QUOTA") >= 20, "the quota is counted")
        self.permit(hold)
        receiver.settimeout(1)
        got = []
        try:
            while True:
                got.append(int.from_bytes(receiver.recv(2000)[:2], "big"))
        except TimeoutError:
            pass
        self.assertEqual(got, list(range(len(got))), "in order, from the first on")
        self.assertGreaterEqual(len(got), 40)
        self.assertEqual(len(got) + self.daemon.reason("HOLD_QUOTA"), 100)

    def test_1000_holds_ended_by_their_deadlines_leave_no_frame(self):
        """Of 256 frames 192 may be held. Eleven times half as many expire: a host that kept theirs could hold no more,
        and one that has not heard yet of the last 96 has room for the next."""
        self.begin("--frames", "256", "--process-holds-max", "192", "--holds-max", "192")
        self.host()
        self.daemon.ask(4, protocol="udp", deadline="500ms", outcome="permit")
        out = self.capture()
        sender, rounds, holds, doubled = self.datagram_socket(), 11, 96, 8
        for n in range(rounds):
            for port in range(20000 + n * holds, 20000 + (n + 1) * holds):
                sender.sendto(b"first", (SERVER4, port))
                if port % (holds // doubled) == 0:
                    sender.sendto(b"second", (SERVER4, port))
            expired = (n + 1) * holds
            wait_for(lambda: self.daemon.reason("HOLD_EXPIRED") >= expired, f"{expired} holds have expired", 20)
        everything = rounds * (holds + doubled)
        wait_for(lambda: len(out.packets(UDP)) >= everything, "all datagrams, also those behind a hold")
        self.assertEqual(self.daemon.reason("HOLD_OPENED"), rounds * holds, "each found room in the host")
        self.assertEqual(self.daemon.reason("HOLD_EXPIRED"), rounds * holds)
        self.assertEqual(len(out.packets(UDP)), everything)
        self.assertEqual(self.daemon.list("hold"), [])

    def held_in(self, protocol, **wanted):
        return len(self.daemon.holds(protocol=protocol, **wanted))

    def sender(self, count, size):
        """Another process: so many UDP sockets with a datagram of so many bytes each; it stays until the test ends."""
        script = ("import socket, sys\n"
                  f"kept = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range({count})]\n"
                  "for s in kept:\n"
                  f"    s.connect(('{SERVER4}', 80))\n"
                  f"    s.send(bytes({size}))\n"
                  "print('sent', flush=True)\n"
                  "sys.stdin.read()\n")
        process = self.popen(self.client, sys.executable, "-c", script, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.assertEqual(process.stdout.readline(), "sent\n")
        return process

    def check_no_use(self):
        """Nothing is counted against anybody any more, once the last decision has been carried out."""
        def used():
            counts = [(*struct.unpack_from("I", use), *struct.unpack_from("Q", use, 8))
                      for _, use in bpf_maps.entries(self.daemon.pins, "uses")]
            return [c for c in counts if c != (0, 0)]
        wait_for(lambda: not used(), "quotas count nothing", 5)

    def test_bytes_of_one_process_and_of_a_host(self):
        """Datagrams of 1,042 bytes, with their headers: four of one process, six of all."""
        self.begin("--process-hold-bytes-max", "4200", "--hold-bytes-max", "6500")
        self.host()
        self.daemon.ask(4, port=80, protocol="udp")
        out = self.capture()
        first = self.sender(10, 1000)
        wait_for(lambda: self.held_in("udp") == 4 and self.daemon.reason("PROCESS_QUOTA") == 6, "one process's quota")
        second = self.sender(10, 1000)
        wait_for(lambda: self.held_in("udp", pid=second.pid) == 2 and self.daemon.reason("HOST_QUOTA") == 8, "the host's quota")
        self.assertEqual((self.held_in("udp", pid=first.pid), self.daemon.reason("PROCESS_QUOTA")), (4, 6))
        self.assertEqual(out.packets(UDP, dport=80), [], "what is past a quota is blocked")
        for hold in self.daemon.holds():
            self.daemon.do("hold", "permit", hold["id"])
        wait_for(lambda: len(out.packets(UDP, dport=80)) == 6, "what was held goes")
        third = self.sender(10, 1000)
        wait_for(lambda: self.held_in("udp", pid=third.pid) == 4, "there is room again")
        for hold in self.daemon.holds():
            self.daemon.do("hold", "block", hold["id"])
        self.check_no_use()

    def test_past_a_quota_the_filters_outcome_applies_at_once(self):
        self.begin("--holds-max", "8", "--process-holds-max", "2")
        self.serve()
        self.serve(port=81)
        self.serve(port=82)
        self.host()
        for port, outcome in ((80, "block"), (81, "permit"), (82, "next")):
            self.daemon.ask(4, port=port, outcome=outcome, weight=9)
        self.daemon.filter("ale_auth_connect_v4", "block", port=82, weight=1)
        held = [self.attempt(), self.attempt(port=81)]
        wait_for(lambda: self.held_in("tcp") == 2, "two are held")
        for port, error in ((80, errno.ECONNREFUSED), (81, 0), (82, errno.ECONNREFUSED)):
            attempt = self.attempt(port=port)
            self.assertEqual(attempt.wait(), error, port)
            self.assert_soon(attempt.ended - attempt.began, 0.5, f"past the quota, port {port},")
        self.assertEqual(self.daemon.reason("PROCESS_QUOTA"), 3)
        self.assertEqual([a.ended for a in held], [None, None])
        for hold in self.daemon.holds():
            self.permit(hold)
        self.assertEqual([a.wait() for a in held], [0, 0])
        self.assertEqual((self.daemon.reason("HOLD_OPENED"), self.daemon.reason("HOLD_PERMITTED")), (2, 2))
        self.check_no_use()


if __name__ == "__main__":
    unittest.main(verbosity=2)
