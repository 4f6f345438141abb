# SPDX-License-Identifier: Apache-2.0
"""What runs out: frames of a port, room behind a hold, a host's attention. Never an allow, always counted."""
import socket
import time
import unittest

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
        """Of 256 frames 192 may be held. Six times as many holds expire: a host that kept theirs could hold no more."""
        self.begin("--frames", "256", "--process-holds-max", "192", "--holds-max", "192")
        self.host()
        self.daemon.ask(4, protocol="udp", deadline="700ms", outcome="permit")
        out = self.capture()
        sender, first = self.datagram_socket(), 20000
        for expired in range(180, 1081, 180):
            for port in range(first, first + 180):
                sender.sendto(b"first", (SERVER4, port))
                sender.sendto(b"second", (SERVER4, port)) if port % 15 == 0 else None
            first += 180
            wait_for(lambda: self.daemon.reason("HOLD_EXPIRED") >= expired, f"{expired} holds have expired", 20)
        wait_for(lambda: len(out.packets(UDP)) >= 6 * (180 + 12), "all datagrams, also those behind a hold")
        self.assertEqual(self.daemon.reason("HOLD_OPENED"), 1080, "each found room in the host")
        self.assertEqual(self.daemon.reason("HOLD_EXPIRED"), 1080)
        self.assertEqual(len(out.packets(UDP)), 6 * (180 + 12))
        self.assertEqual(self.daemon.list("hold"), [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
