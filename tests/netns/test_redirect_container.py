# SPDX-License-Identifier: Apache-2.0
"""A container's connections through a proxy in the host's namespace: the client's namespace is the container's, with Sluice,
the server's is the host's, without. The container's policy names the host's address on the veth pair; the proxy learns the
original destination by PROXY protocol v2, since the socket options are answered in the container's compartment only."""
import errno
import socket
import struct
import threading
import unittest

from harness import CLIENT4, CLIENT6, SERVER4, SERVER6, SLACK, server, wait_for
from redirecting import RedirectTest, host_port

FAR = {4: "203.0.113.9", 6: "2001:db8:9::9"}  # beyond the host
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


class HostProxy:
    """Reads the header, says what it has read, and connects where the container's application wanted to go."""

    def __init__(self, namespace, address, port):
        self.namespace, self.seen = namespace, []
        self.family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.listener = namespace.socket(self.family)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((address, port))
        self.listener.listen(16)
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while True:
            try:
                accepted, _ = self.listener.accept()
            except OSError:
                return
            with accepted:
                accepted.settimeout(10 * SLACK)
                self.serve(accepted)

    def serve(self, accepted):
        head = accepted.recv(16, socket.MSG_WAITALL)
        body = accepted.recv(struct.unpack_from("!H", head, 14)[0], socket.MSG_WAITALL)
        size = 16 if self.family == socket.AF_INET6 else 4
        source, destination = (socket.inet_ntop(self.family, body[at:at + size]) for at in (0, size))
        ports = struct.unpack_from("!HH", body, 2 * size)
        try:
            option = len(accepted.getsockopt(0x534C, 1, 1024))
        except OSError as e:
            option = e.errno
        self.seen.append((head[:12] == SIGNATURE, (source, ports[0]), accepted.getpeername()[:2], (destination, ports[1]),
                          option))
        with self.namespace.socket(self.family) as onward:
            onward.settimeout(10 * SLACK)
            onward.connect((destination, ports[1]))
            onward.sendall(accepted.recv(65536))
            while data := onward.recv(65536):
                accepted.sendall(data)

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(5)


class Container(RedirectTest):
    def test_to_the_host(self):
        for family, mine, host in ((4, CLIENT4, SERVER4), (6, CLIENT6, SERVER6)):
            self.far.ip("addr", "add", f"{FAR[family]}/{32 if family == 4 else 128}", "dev", "lo")
            self.client.ip("route", "add", "default", "via", host)
            proxy = HostProxy(self.far, host, 9800)
            self.addCleanup(proxy.close)
            self.redirect(host_port(host, 9800), remote_port=80, protocol="tcp", proxy_v2=True)
            with self.subTest(family=family):
                self.reached(family, mine, proxy)

    def reached(self, family, mine, proxy):
        if family == 4:
            self.serve(namespace=self.far)
        url = f"http://{FAR[family]}/" if family == 4 else f"http://[{FAR[family]}]/"
        out = self.client.run("curl", "-sS", "--max-time", 20, url, check=False)
        self.assertEqual(out.stdout, "hello\n", out.stderr)
        (good, source, peer, destination, option), = proxy.seen
        self.assertTrue(good)
        self.assertEqual(source[0], mine)
        self.assertEqual(source, peer, "the client's own address and port")
        self.assertEqual(destination, (FAR[family], 80))
        self.assertIn(option, (errno.EOPNOTSUPP, errno.ENOPROTOOPT), "another compartment's options say nothing")
        listed = wait_for(lambda: [r for r in self.redirects() if r["original"] == host_port(FAR[family], 80)], "it is listed")[0]
        self.assertEqual((listed["way"], listed["target"]), ("kernel", host_port(server(family), 9800)))


if __name__ == "__main__":
    unittest.main()
