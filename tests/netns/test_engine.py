# SPDX-License-Identifier: Apache-2.0
"""What a filter can say beside addresses, what becomes of it when names change, and who hears of its drops."""
import contextlib
import errno
import json
import os
import shutil
import signal
import subprocess
import time
import unittest

from harness import *

DEADLINE = 2  # seconds until a changed name is obeyed
MOUNTS = [line.split()[:3] for line in pathlib.Path("/proc/mounts").read_text().splitlines()]
CGROUPS = next((pathlib.Path(where) for _, where, kind in MOUNTS if kind == "cgroup2"), None)
WATCHER = BUILD / "tests/netns/watcher"
CONNECT = f"exec 3<>/dev/tcp/{SERVER4}/80"  # of bash; exit status 0: connected


class Engine(SluiceTest):
    def connects(self, *prefix, program="/bin/bash", port=80):
        """Can a new process connect? prefix: command that starts it."""
        done = self.client.run(*prefix, program, "-c", CONNECT.replace("/80", f"/{port}"), check=False, timeout=20 * SLACK)
        if done.returncode:
            self.assertIn("Operation not permitted", done.stderr)
        return done.returncode == 0

    def block(self, *conditions, layer="ale_auth_connect_v4"):
        """A filter with conditions as a policy file writes them."""
        words = [word for c in conditions for word in ("--condition", c)]
        return int(self.daemon.do("filter", "add", "--layer", layer, "--action", "block", *words).split()[-1])

    def watcher(self, port=0):
        """A program with a dynamic session that blocks a port and prints the net events that it hears of."""
        process = self.popen(self.client, WATCHER, port, stdout=subprocess.PIPE, text=True,
                             env=dict(os.environ, SLUICE_SOCKET=str(self.daemon.socket)))
        self.addCleanup(process.stdout.close)
        self.assertEqual(process.stdout.readline(), "ready\n")
        return process


class Objects(Engine):
    def lifetimes(self):
        return {f["name"]: f["lifetime"] for f in self.daemon.list("filter")}

    def test_every_object_with_every_lifetime(self):
        run = self.daemon.do
        run("provider", "add", "ours", "--lifetime", "persistent")
        run("sublayer", "add", "upper", "--weight", "0x9000", "--lifetime", "persistent")
        run("sublayer", "add", "lower", "--weight", "0x1000")
        run("callout", "add", "nobody", "--layer", "ale_auth_connect_v4")
        add = ("filter", "add", "--layer", "ale_auth_connect_v4", "--action", "block", "--protocol", "tcp")
        run(*add, "--remote-port", 81, "--name", "fixed", "--sublayer", "lower")
        run(*add, "--remote-port", 82, "--name", "lasting", "--sublayer", "upper", "--lifetime", "persistent")
        run(*add, "--remote-port", 83, "--name", "at boot", "--sublayer", "upper", "--lifetime", "boot-time")
        run("filter", "add", "--layer", "ale_auth_connect_v4", "--action", "callout", "--callout", "nobody",
            "--remote-port", 84, "--name", "asks nobody")
        watcher = self.watcher(port=85)
        self.assertEqual(self.lifetimes(), {"fixed": "static", "lasting": "persistent", "at boot": "boot-time",
                                            "asks nobody": "static", "of the watcher": "dynamic"})
        names = {what: {o["name"] for o in self.daemon.list(what)} for what in ("provider", "sublayer", "callout")}
        self.assertIn("ours", names["provider"])
        self.assertLessEqual({"upper", "lower"}, names["sublayer"])
        self.assertIn("nobody", names["callout"])
        for port in (80, 86):
            self.serve(port=port)
        # A boot-time filter gives way to the policy in force once the daemon runs.
        blocked = [port for port in range(80, 87) if self.attempt(port=port).wait() == errno.EPERM]
        self.assertEqual(blocked, [81, 82, 84, 85])
        watcher.terminate()
        wait_for(lambda: "of the watcher" not in self.lifetimes(), "the dynamic one ends with its session")
        in_use = self.daemon.run("sublayer", "delete", "lower")
        self.assertEqual(in_use.status, 1, "a filter is in it")
        self.daemon.stop()
        self.daemon.start()
        self.assertEqual(self.lifetimes(), {"fixed": "static", "lasting": "persistent", "at boot": "boot-time",
                                            "asks nobody": "static"})
        for f in self.daemon.list("filter"):
            run("filter", "delete", f["id"])
        for what, name in (("sublayer", "lower"), ("sublayer", "upper"), ("callout", "nobody"), ("provider", "ours")):
            run(what, "delete", name)
        self.assertNotEqual(self.attempt(port=81).wait(), errno.EPERM)

    def test_a_field_that_cannot_exist_is_refused_by_name(self):
        for word in ("ale_package_id", "ale_user_id", "ip_nexthop_interface"):
            condition = f"{word}: {{security_descriptor: '01'}}"
            result = self.daemon.run("filter", "add", "--layer", "ale_auth_connect_v4", "--action", "block",
                                     "--condition", condition)
            self.assertIn(result.status, (1, 2), result)
            self.assertIn(word, result.err.lower())
        self.assertEqual(self.daemon.list("filter"), [])


class Names(Engine):
    def setUp(self):
        super().setUp()
        self.serve()

    def test_a_program_is_followed_through_an_upgrade_of_its_file(self):
        program, other = self.directory / "program", self.directory / "other"
        for path in (program, other):
            shutil.copy("/bin/bash", path)
        self.daemon.filter("ale_auth_connect_v4", app=program)
        self.assertFalse(self.connects(program=program))
        self.assertTrue(self.connects(program=other))
        before = program.stat().st_ino
        new = self.directory / "program.new"
        shutil.copy("/bin/bash", new)
        new.rename(program)
        self.assertNotEqual(program.stat().st_ino, before)
        wait_for(lambda: not self.connects(program=program), "a process of the new file is blocked", DEADLINE)
        self.assertTrue(self.connects(program=other))

    def test_a_program_that_is_not_there_yet(self):
        program = self.directory / "later"
        self.daemon.filter("ale_auth_connect_v4", app=program)
        shutil.copy("/bin/bash", program)
        wait_for(lambda: not self.connects(program=program), "a process of the file is blocked", DEADLINE)

    def pings(self):
        return self.client.run("ping", "-c1", "-W1", SERVER4, check=False).returncode == 0

    def rename(self, old, new):
        for change in (("down",), ("name", new)):
            self.client.ip("link", "set", old, *change)
        self.client.ip("link", "set", new, "up")

    def test_an_interface_is_followed_through_renames(self):
        self.daemon.filter("inbound_ippacket_v4", interface="wan0", protocol="icmp")
        self.assertTrue(self.pings())
        self.rename("nic0", "wan0")
        self.addCleanup(lambda: self.client.run("ip", "link", "set", "wan0", "name", "nic0", check=False))
        wait_for(lambda: not self.pings(), "it has the filter's name now", DEADLINE)
        self.rename("wan0", "nic0")
        wait_for(self.pings, "it has another name", DEADLINE * 5)

    def test_an_interface_is_known_by_its_alias(self):
        self.block("interface_alias: to the world", "protocol: icmp", layer="inbound_ippacket_v4")
        self.assertTrue(self.pings())
        self.client.ip("link", "set", "nic0", "alias", "to the world")
        wait_for(lambda: not self.pings(), "it has the filter's alias now", DEADLINE)
        self.client.ip("link", "set", "nic0", "alias", "")
        wait_for(self.pings, "it has no alias", DEADLINE * 5)

    def test_users_and_groups(self):
        def user(uid, gid):
            return ("setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups")
        rule = self.daemon.filter("ale_auth_connect_v4", user=60001)
        self.assertFalse(self.connects(*user(60001, 60001)))
        self.assertTrue(self.connects(*user(60002, 60001)))
        self.daemon.do("filter", "delete", rule)
        self.daemon.filter("ale_auth_connect_v4", group=60003)
        self.assertFalse(self.connects(*user(60001, 60003)))
        self.assertTrue(self.connects(*user(60003, 60001)))

    def cgroup(self, name):
        path = CGROUPS / name
        path.mkdir()
        self.addCleanup(path.rmdir)
        return path

    def connects_in(self, cgroup):
        return self.connects("sh", "-c", f"echo $$ > {cgroup}/cgroup.procs && exec \"$@\"", "sh")

    def need_cgroups(self):
        if CGROUPS is None:
            self.skipTest("no cgroup2 is mounted")

    def test_cgroups_and_what_is_below_them(self):
        self.need_cgroups()
        name = self.directory.name
        self.block(f"cgroup: {name}/watched")
        self.cgroup(name)
        watched, beside = self.cgroup(f"{name}/watched"), self.cgroup(f"{name}/beside")
        inner = self.cgroup(f"{name}/watched/inner")
        wait_for(lambda: not self.connects_in(watched), "a cgroup that came later", DEADLINE)
        self.assertFalse(self.connects_in(inner))
        self.assertTrue(self.connects_in(beside))
        self.assertTrue(self.connects())

    def test_containers(self):
        self.need_cgroups()
        containers = [os.urandom(32).hex() for _ in range(2)]
        self.block(f"container: {containers[0]}")
        ours, other = (self.cgroup(f"docker-{c}.scope") for c in containers)
        wait_for(lambda: not self.connects_in(ours), "a container that came later", DEADLINE)
        self.assertTrue(self.connects_in(other))


class Events(Engine):
    def setUp(self):
        super().setUp()
        self.serve()
        self.rule = self.daemon.filter("ale_auth_connect_v4", port=80, protocol="tcp")

    def follow(self):
        process = subprocess.Popen([str(SLUICE), "--socket", str(self.daemon.socket), "--json", "events", "--follow"],
                                   stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(end_process, process)
        return process

    def test_a_drop_is_told_with_filter_and_layer(self):
        watcher, follower = self.watcher(), self.follow()
        time.sleep(0.3)
        self.assertEqual(self.attempt().wait(), errno.EPERM)
        event = json.loads(follower.stdout.readline())
        self.assertEqual((event["type"], event["layer"], event["filter"], event["protocol"], event["remote"]),
                         ("drop", "ale_auth_connect_v4", self.rule, "tcp", f"{SERVER4}:80"))
        self.assertEqual(event["pid"], os.getpid())
        layers = {l["name"]: l["id"] for l in self.daemon.list("layer")}
        heard = watcher.stdout.readline().split()
        self.assertEqual(heard, ["drop", str(layers["ale_auth_connect_v4"]), str(self.rule)])

    def test_a_drop_is_explained(self):
        self.assertEqual(self.attempt().wait(), errno.EPERM)
        wait_for(lambda: self.daemon.do("events"), "the event")
        for drop in ("last", json.loads(self.daemon.do("--json", "events").splitlines()[-1])["id"]):
            text = self.daemon.do("explain", "--drop", drop)
            self.assertIn(f"by filter {self.rule} (of a test)", text)
            self.assertIn("DP_REASON_FILTER_BLOCK", text)
        text = self.daemon.do("explain", "tcp", f"{CLIENT4}:40000", f"{SERVER4}:80")
        self.assertIn(str(self.rule), text)


if __name__ == "__main__":
    unittest.main(verbosity=2)
