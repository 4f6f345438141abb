# SPDX-License-Identifier: Apache-2.0
"""The example plugins that change, delay, answer and copy packets."""
import socket
import struct
import time
import unittest

from harness import CLIENT4, SERVER4, SluiceTest, wait_for


class Examples(SluiceTest):
    def receiver(self):
        s = self.client.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(s.close)
        s.bind((CLIENT4, 9000))
        s.settimeout(5)
        return s

    def send(self, *payloads):
        with self.far.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            for payload in payloads:
                peer.sendto(payload, (CLIENT4, 9000))

    def test_a_rewritten_payload_arrives(self):
        self.host("rewrite_payload.so", callouts=("rewrite_v4",), environment={"SLUICE_REWRITE": "cat/dog"})
        self.daemon.filter("datagram_data_v4", "callout", "rewrite_v4", remote=SERVER4)
        receiver = self.receiver()
        self.send(b"a cat", b"a cow", b"cat and cat")
        got = sorted(receiver.recv(100) for _ in range(3))
        self.assertEqual(got, [b"a cow", b"a dog", b"dog and cat"])

    def test_a_delayed_flow_arrives_later_and_in_order(self):
        self.host("delay_flow.so", callouts=("delay_v4",), environment={"SLUICE_DELAY_MS": "300"})
        self.daemon.filter("inbound_ippacket_v4", "callout", "delay_v4", remote=SERVER4, protocol="udp")
        receiver = self.receiver()
        begun = time.monotonic()
        self.send(*(b"%d" % n for n in range(10)))
        self.assertEqual([receiver.recv(100) for _ in range(10)], [b"%d" % n for n in range(10)])
        self.assertGreaterEqual(time.monotonic() - begun, 0.3)

    def test_pings_are_answered_in_the_machines_place(self):
        self.host("answer_pings.so", callouts=("answer_pings_v4",))
        self.daemon.filter("inbound_ippacket_v4", "callout", "answer_pings_v4", remote=SERVER4)
        self.client.run("sysctl", "-qw", "net.ipv4.icmp_echo_ignore_all=1")  # it does not answer itself
        ping = self.far.run("ping", "-c5", "-i0.2", "-W2", CLIENT4, check=False)
        self.assertEqual(ping.returncode, 0, ping.stdout)
        self.assertIn("5 received", ping.stdout)

    def test_a_mirror_has_what_came_in(self):
        file = self.directory / "mirror.pcap"
        self.host("mirror_to_pcap.so", callouts=("mirror_v4", "mirror_v6"), environment={"SLUICE_PCAP": str(file)})
        self.daemon.filter("inbound_ippacket_v4", "callout", "mirror_v4", remote=SERVER4)
        self.client.run("ping", "-c3", "-i0.2", "-W2", SERVER4)

        def packets():
            data, found = file.read_bytes()[24:], []
            while len(data) >= 16:
                size = struct.unpack("<IIII", data[:16])[2]
                found.append(data[16:16 + size])
                data = data[16 + size:]
            return found
        wait_for(lambda: len(packets()) >= 3, "all packets are in the file")
        icmp = [p for p in packets() if p[9] == 1]
        self.assertEqual([p[20] for p in icmp], [0] * 3)
        self.assertEqual({len(p) for p in icmp}, {84})


if __name__ == "__main__":
    unittest.main()
