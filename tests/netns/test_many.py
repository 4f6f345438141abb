# SPDX-License-Identifier: Apache-2.0
"""100,000 filters through the real daemon: they are in force, few are added and deleted beside them, a restart finds
them."""
import errno
import pathlib
import random
import re
import subprocess
import time

from harness import SERVER4, SLUICE, SluiceTest, measured

COUNT = 100000


def policy(ports):
    """Networks and ports at random, none of which is the server's but for three: the last of them is the very last
    filter."""
    choose = random.Random(ports[0])
    yield "version: 1\nfilters:\n"
    for n in range(COUNT):
        address, port = f"172.{choose.randrange(16, 32)}.{choose.randrange(256)}.0/24", choose.randrange(1, 65535)
        if n in (0, COUNT // 2, COUNT - 1):
            address, port = SERVER4, ports[n * 2 // (COUNT - 1)]
        yield (f"  - name: filter {n}\n    layer: ale_auth_connect_v4\n    action: block\n    conditions:\n"
               f"      remote_address: {address}\n      protocol: tcp\n      remote_port: {port}\n")


class ManyFilters(SluiceTest):
    def resident(self):
        status = pathlib.Path(f"/proc/{self.daemon.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s*(\d+)", status).group(1)) / 1024

    def apply(self, what, ports):
        path = self.directory / "many.yaml"
        with open(path, "w") as out:
            out.writelines(policy(ports))
        began = time.monotonic()
        done = subprocess.run([str(SLUICE), "--socket", str(self.daemon.socket), "policy", "apply", str(path)],
                              capture_output=True, text=True, timeout=300)
        self.assertEqual(done.returncode, 0, done.stderr)
        measured(what, time.monotonic() - began, "s")

    def expect(self, port, error):
        self.assertEqual(self.attempt(port=port).wait(), error, f"port {port}")

    # ctest: slow serial
    def test_they_are_in_force_and_change_one_by_one(self):
        for port in range(80, 85):
            self.serve(port=port)
        self.apply("apply 100,000 filters", (80, 81, 82))
        measured("sluiced with 100,000 filters", self.resident(), "MiB")
        self.assertLess(self.resident(), 2048)
        for port in 80, 81, 82:
            self.expect(port, errno.EPERM)
        self.expect(83, 0)

        began = time.monotonic()
        added = [self.daemon.filter("ale_auth_connect_v4", remote=SERVER4, port=port) for port in (83, 84)]
        measured("add one to 100,000", (time.monotonic() - began) / 2, "s")
        self.expect(83, errno.EPERM)
        self.expect(84, errno.EPERM)
        self.daemon.do("filter", "delete", added[0])
        self.expect(83, 0)
        self.expect(84, errno.EPERM)

        self.daemon.kill()
        self.daemon.start()
        self.expect(82, errno.EPERM)
        self.daemon.do("filter", "delete", added[1])
        self.expect(84, 0)
        self.expect(81, errno.EPERM)

        self.apply("replace 100,000 filters", (82, 83, 84))
        self.apply("replace them again", (84, 80, 81))
        measured("sluiced after that", self.resident(), "MiB")
        self.assertLess(self.resident(), 1024)
        for port in 80, 81, 84:
            self.expect(port, errno.EPERM)
        for port in 82, 83:
            self.expect(port, 0)
        self.daemon.do("policy", "rollback")
        self.expect(80, 0)
        self.expect(82, errno.EPERM)
