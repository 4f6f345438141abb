# SPDX-License-Identifier: Apache-2.0
"""Unmodified proxies of Debian, each with a configuration of its own, to which connections are redirected."""
import collections
import os
import shutil
import sys
import unittest

from harness import SERVER4, SERVER6, wait_for
from redirecting import RedirectTest, listens

# Of IPv6 it asks the kernel for no original destination: there it takes it from the PROXY protocol.
HAPROXY = """
global
    log stdout format raw local0
defaults
    mode tcp
    log global
    log-format "%ci:%cp to %[dst]:%[dst_port]"
    timeout connect 5s
    timeout client 20s
    timeout server 20s
listen redirected
    bind 127.0.0.1:{port}
    bind ::1:{port} accept-proxy
    server original 0.0.0.0
"""
# It knows the original destination by PROXY protocol v2 alone.
NGINX = """
load_module /usr/lib/nginx/modules/ngx_stream_module.so;
daemon off;
pid {directory}/nginx.pid;
error_log {directory}/nginx-errors.log;
events {{ }}
stream {{
    log_format line '$remote_addr:$remote_port to $upstream_addr';
    access_log {directory}/nginx.out line;
    map $proxy_protocol_server_addr $original {{
        ~: "[$proxy_protocol_server_addr]:$proxy_protocol_server_port";
        default "$proxy_protocol_server_addr:$proxy_protocol_server_port";
    }}
    server {{
        listen 127.0.0.1:{port} proxy_protocol;
        listen [::1]:{port} proxy_protocol;
        proxy_pass $original;
    }}
}}
"""
SQUID = """
http_port 127.0.0.1:{port} intercept
http_port [::1]:{port} intercept
http_port 127.0.0.1:{port}9
http_access allow all
cache deny all
cache_effective_user proxy
pid_filename {directory}/squid.pid
logformat line %>a:%>p to %<a:%<p
access_log stdio:{directory}/squid.out line
cache_log {directory}/squid-cache.log
coredump_dir {directory}
shutdown_lifetime 1 second
pinger_enable off
"""
TINYPROXY = """
Port {port}
Listen 127.0.0.1
Listen ::1
Allow 127.0.0.1
Allow ::1
Timeout 20
LogLevel Info
LogFile "{directory}/tinyproxy.out"
MaxClients 200
"""


class Proxies(RedirectTest):
    def setUp(self):
        super().setUp()
        self.room = self.directory / "proxies"
        self.room.mkdir(mode=0o777)
        os.chmod(self.room, 0o777)
        (self.room / "www").mkdir()
        for number in range(1, 501):
            (self.room / "www" / str(number)).write_text("hello\n")
        with open(self.directory / "web.log", "ab") as log:
            for address in (SERVER4, SERVER6):
                self.popen(self.far, sys.executable, "-m", "http.server", "80", "--bind", address, "--directory",
                           self.room / "www", stdout=log, stderr=log)
        wait_for(lambda: len(listens(self.far, 80).splitlines()) == 2, "the web servers listen")

    def start_proxy(self, name, port, configuration, *command):
        file = self.room / f"{name}.conf"
        file.write_text(configuration.format(port=port, directory=self.room))
        if not shutil.which(command[0]):
            self.fail(f"{command[0]} is not installed: scripts/install-dependencies")
        with open(self.room / f"{name}.stdout", "wb") as out, open(self.directory / f"{name}.log", "wb") as errors:
            process = self.popen(self.client, *command, file, stdout=out, stderr=errors)
        wait_for(lambda: len(listens(self.client, port).splitlines()) >= 2, f"{name} listens", 20)
        return process

    def haproxy(self, port=8090):
        self.start_proxy("haproxy", port, HAPROXY, "haproxy", "-db", "-f")
        return self.room / "haproxy.stdout"

    def nginx(self, port=8091):
        self.start_proxy("nginx", port, NGINX, "nginx", "-e", self.room / "nginx-start.log", "-c")
        return self.room / "nginx.out"

    def squid(self, port=3129):
        self.start_proxy("squid", port, SQUID, "squid", "-N", "-f")
        return self.room / "squid.out"

    def tinyproxy(self, port=8092):
        self.start_proxy("tinyproxy", port, TINYPROXY, "tinyproxy", "-d", "-c")
        return self.room / "tinyproxy.out"

    def send_to(self, port, header=(), **more):
        """header: the families for which the proxy reads PROXY protocol v2."""
        for family, address in ((4, "127.0.0.1"), (6, "[::1]")):
            self.redirect(f"{address}:{port}", remote_port=80, protocol="tcp", proxy_v2=True if family in header else None, **more)

    def fetch(self, each, addresses=(SERVER4, f"[{SERVER6}]")):
        """So many requests to each address, each on a connection of its own."""
        for address in addresses:
            done = self.client.run("curl", "-sS", "--max-time", 100, "-H", "Connection: close",
                                   f"http://{address}/[1-{each}]", check=False)
            self.assertEqual(done.stdout.count("hello\n"), each, f"{address}: {done.stderr[-500:]}")

    def assert_logged(self, log, lines, words):
        """So many lines of the log name each destination, in the proxy's own words."""
        def counted():
            text = log.read_text(errors="replace")
            found = collections.Counter({word: text.count(word) for word in words})
            return found if all(found[word] >= lines for word in words) else None
        found = wait_for(counted, f"{log.name} names {words} {lines} times each", 10)
        self.assertEqual(set(found.values()), {lines}, found)

    def test_haproxy(self):
        log = self.haproxy()
        self.send_to(8090, header=[6])
        self.fetch(500)
        self.assert_logged(log, 500, [f"to {SERVER4}:80", f"to {SERVER6}:80"])

    def test_nginx_stream(self):
        log = self.nginx()
        self.send_to(8091, header=[4, 6])
        self.fetch(500)
        self.assert_logged(log, 500, [f"to {SERVER4}:80", f"to [{SERVER6}]:80"])

    def test_squid(self):
        log = self.squid()
        self.send_to(3129)
        self.fetch(500)
        self.assert_logged(log, 500, [f"to {SERVER4}:80", f"to {SERVER6}:80"])

    def test_tinyproxy(self):
        log = self.tinyproxy()
        self.send_to(8092)
        for _ in range(2):  # it takes the Host header for a name, which an IPv6 address in brackets is not
            self.fetch(500, [SERVER4])
        self.assert_logged(log, 1000, [f"opening connection to {SERVER4}:80"])

    def test_two_in_both_orders(self):
        """Neither carries records: each is known by its process, and what came before it by the redirection to it."""
        logs = [self.haproxy(), self.nginx()]
        for turn, weights in enumerate(((2, 1), (1, 2)), 1):
            for port, weight in zip((8090, 8091), weights):
                self.send_to(port, header=[6] if port == 8090 else [4, 6], weight=weight)
            self.fetch(50)
            for log, words in zip(logs, ([f"to {SERVER4}:80", f"to {SERVER6}:80"], [f"to {SERVER4}:80", f"to [{SERVER6}]:80"])):
                self.assert_logged(log, 50 * turn, words)
            for one in self.daemon.list("filter"):
                self.daemon.do("filter", "delete", one["id"])


if __name__ == "__main__":
    unittest.main()
