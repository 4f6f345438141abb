# SPDX-License-Identifier: Apache-2.0
"""No packet is judged by a half-applied policy."""
import contextlib
import threading
import time
import unittest

from harness import *

# Both policies permit datagrams to both ports. The first one's upper sublayer with the second one's lower would block
# port 5002, the other mixture port 5001: every packet that is lost was judged by a mixture.
UPPER = """version: 1
sublayers:
- {{name: high, weight: 200}}
- {{name: low, weight: 100}}
filters:
- {{name: high {here}, layer: outbound_transport_v4, sublayer: high, action: permit, flags: [hard],
   conditions: {{protocol: udp, remote_port: {here}}}}}
"""
LOWER = """
- {{name: low {here}, layer: outbound_transport_v4, sublayer: low, action: block,
   conditions: {{protocol: udp, remote_port: {here}}}}}
- {{name: low {there}, layer: outbound_transport_v4, sublayer: low, action: permit,
   conditions: {{protocol: udp, remote_port: {there}}}}}
"""
PORTS = (5001, 5002)
SWAPS = 1000


class Swap(SluiceTest):
    def policy(self, upper, lower):
        file = self.directory / f"{upper}-{lower}.yaml"
        file.write_text(UPPER.format(here=upper) + LOWER.format(here=lower, there=sum(PORTS) - lower))
        return file

    def arrives(self, sink, port):
        s = self.datagram_socket(4)
        with contextlib.suppress(OSError):
            s.sendto(b"datagram", (SERVER4, port))
        time.sleep(0.3)
        arrived = bool(sink.datagrams)
        sink.datagrams.clear()
        return arrived

    def test_a_mixture_of_the_two_would_show(self):
        """What the other test relies on."""
        sinks = {port: self.serve(port=port) for port in PORTS}
        for upper, lower in (PORTS, PORTS[::-1]):
            self.daemon.do("policy", "apply", self.policy(upper, lower))
            self.assertTrue(self.arrives(sinks[upper], upper))
            self.assertFalse(self.arrives(sinks[lower], lower))

    # ctest: slow
    def test_swapped_a_thousand_times_under_traffic(self):
        sinks = [self.serve(port=port) for port in PORTS]
        files = [self.policy(port, port) for port in PORTS]
        self.daemon.do("policy", "apply", files[0])
        sender, stop, sent, refused = self.datagram_socket(4), threading.Event(), [0, 0], []

        def send():
            while not stop.is_set():
                for i, port in enumerate(PORTS):
                    try:
                        sender.sendto(b"%d" % sent[i], (SERVER4, port))
                        sent[i] += 1
                    except OSError as e:
                        refused.append(e)
                time.sleep(0.0005)
        thread = threading.Thread(target=send, daemon=True)
        thread.start()
        began = time.time()
        for swap in range(1, SWAPS + 1):
            self.daemon.do("--quiet", "policy", "apply", files[swap % 2])
        stop.set()
        thread.join(5)
        measured("a swap took", (time.time() - began) / SWAPS * 1000, "ms")
        measured("datagrams meanwhile", sum(sent), "")
        self.assertEqual(refused, [])
        self.assertGreater(min(sent), SWAPS)
        with contextlib.suppress(AssertionError):
            wait_for(lambda: [len(s.datagrams) for s in sinks] == sent, "all arrive", 3)
        self.assertEqual([len(s.datagrams) for s in sinks], sent, "datagrams were dropped")


if __name__ == "__main__":
    unittest.main(verbosity=2)
