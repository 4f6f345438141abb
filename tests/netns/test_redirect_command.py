# SPDX-License-Identifier: Apache-2.0
"""Fixed redirections as the command line and policy files make them, and as `sluice redirect` shows them."""
import json
import os
import socket
import struct
import subprocess
import unittest

from harness import SERVER4, SERVER6, SluiceTest, af, server, wait_for

PROXY = {4: "127.0.0.1", 6: "::1"}
SOL_SLUICE, RECORDS, CONTEXT = 0x534C, 1, 2
SO_ORIGINAL_DST = 80


class RedirectCommand(SluiceTest):
    def hooks(self):
        pins = next(path for path in self.daemon.pins.iterdir() if path.is_dir())
        return {path.name for path in pins.glob("l_*_cgroup")}

    def proxy(self, family, port=8080):
        s = self.client.socket(af(family))
        self.addCleanup(s.close)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind((PROXY[family], port))
        s.listen(8)
        s.settimeout(5)
        return s

    def connect(self, family, listener):
        """Both ends; the second time in one name this process is a proxy that connects onward."""
        s = self.client.socket(af(family))
        self.addCleanup(s.close)
        s.settimeout(5)
        s.connect((server(family), 80))
        return s, self.accepted(listener)

    def accepted(self, listener):
        accepted, _ = listener.accept()
        self.addCleanup(accepted.close)
        return accepted

    def redirected(self, family, listener):
        """What the proxy, which is this process, accepts of another program: its own would be passed over."""
        to = server(family) if family == 4 else f"[{server(family)}]"
        self.popen(self.client, "curl", "-s", "--max-time", "60", f"http://{to}/", stdout=subprocess.DEVNULL)
        return self.accepted(listener)

    def redirects(self, **wanted):
        return [r for r in self.daemon.list("redirect") if all(r[k] == v for k, v in wanted.items())]

    def test_a_filter_of_the_command_line(self):
        before = self.hooks()
        self.assertNotIn("l_getsockopt_cgroup", before)
        ids = {}
        for family in (4, 6):
            to = f"{PROXY[family]}:8080" if family == 4 else "[::1]:8080"
            ids[family] = self.daemon.do("filter", "add", "--layer", f"ale_connect_redirect_v{family}", "--redirect", to,
                                         "--protocol", "tcp", "--remote-port", "80", "--context", "hello",
                                         "--name", f"to the proxy {family}")
        self.assertLessEqual({"l_getsockopt_cgroup", "l_setsockopt_cgroup", "l_getpeername4_cgroup"}, self.hooks())
        listeners = {family: self.proxy(family) for family in (4, 6)}
        for family in (4, 6):
            with self.subTest(family=family):
                s, accepted = self.connect(family, listeners[family])
                self.assertEqual(s.getpeername()[:2], (server(family), 80))
                self.assertEqual(accepted.getsockopt(SOL_SLUICE, CONTEXT, 512), b"hello")
                self.assertEqual(len(accepted.getsockopt(SOL_SLUICE, RECORDS, 1024)), 880)
                one, = self.redirects(state="live", protocol="tcp", original=f"{SERVER4}:80" if family == 4
                                      else f"[{SERVER6}]:80")
                self.assertEqual(one["way"], "kernel")
                self.assertEqual(one["target_pid"], os.getpid())
                hop = one["hops"][-1]  # before it what is inferred: this process has been a proxy
                self.assertEqual((hop["pid"], hop["filter"]), (os.getpid(), int(ids[family])))
                self.assertEqual(hop["provider_name"], f"to the proxy {family}")
                shown = self.daemon.do("redirect", "show", str(one["id"]))
                self.assertIn(f"filter {ids[family]}", shown)
                s.close()
                wait_for(lambda: self.redirects(id=one["id"], state="ended"), "its end")
        self.daemon.do("filter", "delete", ids[4])
        with self.assertRaises(OSError):
            self.connect(4, listeners[4])  # nobody listens at the server
        self.assertEqual(self.daemon.run("redirect", "show", "123456789").status, 1)

    def test_a_restart_of_sluiced_changes_nothing(self):
        self.daemon.do("filter", "add", "--layer", "ale_connect_redirect_v4", "--redirect", "127.0.0.1:8080", "--protocol",
                       "tcp", "--remote-port", "80")
        listener = self.proxy(4)
        accepted = self.redirected(4, listener)
        record = accepted.getsockopt(SOL_SLUICE, RECORDS, 1024)
        self.daemon.kill()
        self.redirected(4, listener)
        self.daemon.start()
        self.assertEqual(accepted.getsockopt(SOL_SLUICE, RECORDS, 1024), record)
        self.redirected(4, listener)
        self.assertEqual(len(self.redirects(state="live")), 3)
        # Another target takes another slot, and the old one goes.
        self.daemon.do("filter", "add", "--layer", "ale_connect_redirect_v4", "--redirect", ":8081", "--protocol", "tcp",
                       "--remote-port", "82", "--weight", "15")
        self.redirected(4, listener)

    def test_a_policy_file(self):
        path = self.directory / "policy.yaml"
        path.write_text("version: 1\nfilters:\n- name: web\n  layer: ale_connect_redirect\n  action: redirect\n"
                        "  to: [127.0.0.1:8080, '[::1]:8080']\n  conditions: {protocol: tcp, remote_port: 80}\n")
        self.daemon.do("policy", "apply", str(path))
        for family in (4, 6):
            accepted = self.redirected(family, self.proxy(family))
            level, size = (socket.IPPROTO_IP, 16) if family == 4 else (socket.IPPROTO_IPV6, 28)
            name = accepted.getsockopt(level, SO_ORIGINAL_DST, size)
            self.assertEqual(struct.unpack_from("!H", name, 2)[0], 80)
            at = slice(4, 8) if family == 4 else slice(8, 24)
            self.assertEqual(socket.inet_ntop(af(family), name[at]), server(family))
        exported = self.daemon.do("policy", "export")
        self.assertIn("action: redirect", exported)
        path.write_text(exported)
        self.assertNotIn("+", self.daemon.do("policy", "diff", str(path)))
        explained = self.daemon.do("explain", "tcp", "10.0.0.1:1234", f"{SERVER4}:80")
        self.assertIn("redirects to 127.0.0.1:8080", explained)
        filters = json.loads(self.daemon.do("filter", "list", "--json"))["filters"]
        self.assertEqual({f["layer"] for f in filters}, {"ale_connect_redirect_v4", "ale_connect_redirect_v6"})


if __name__ == "__main__":
    unittest.main()
