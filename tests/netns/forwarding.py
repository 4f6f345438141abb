# SPDX-License-Identifier: Apache-2.0
"""A third machine behind the one with Sluice, which forwards between it and the server. A mixin for SluiceTest.

    guest 10.99.0.2 ══ nic9 10.99.0.1 │ client namespace, which forwards │ nic0 10.91.0.1 ══ 10.91.0.2 server
          fd99::2         fd99::1                                               fd91::1       fd91::2
"""
from harness import SERVER4, SERVER6, Namespace, wait_for

GUEST = {4: "10.99.0.2", 6: "fd99::2"}


class Forwarding:
    def setUp(self):
        super().setUp()
        self.guest = Namespace("guest")
        self.addCleanup(self.guest.delete)
        self.client.ip("link", "add", "nic9", "type", "veth", "peer", "name", "out0", "netns", self.guest.name)
        for namespace, device, host in ((self.client, "nic9", 1), (self.guest, "out0", 2)):
            namespace.ip("link", "set", device, "addrgenmode", "none")
            namespace.ip("link", "set", device, "up")
            namespace.ip("addr", "add", f"10.99.0.{host}/24", "dev", device)
            namespace.ip("addr", "add", f"fd99::{host}/64", "dev", device, "nodad")
        # A router asks for the neighbours of what it forwards by its link-local address, or not at all.
        for device in ("nic0", "nic9"):
            self.client.ip("addr", "add", "fe80::1/64", "dev", device, "nodad")
        self.client.run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1",
                        "net.ipv4.icmp_ratelimit=0", "net.ipv6.icmp.ratelimit=0")
        for namespace, net4, via4, net6, via6 in ((self.guest, "default", "10.99.0.1", "default", "fd99::1"),
                                                  (self.far, "10.99.0.0/24", "10.91.0.1", "fd99::/64", "fd91::1")):
            namespace.ip("route", "add", net4, "via", via4)
            namespace.ip("-6", "route", "add", net6, "via", via6)
        wait_for(lambda: all(self.guest.run("ping", "-c1", "-W1", server, check=False).returncode == 0
                             for server in (SERVER4, SERVER6)), "the client forwards")
        self.nic_load("nic9")
        self.addCleanup(lambda: self.daemon.run("nic", "unload", "nic9", namespace=self.client))
