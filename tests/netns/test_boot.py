# SPDX-License-Identifier: Apache-2.0
"""What holds before sluiced runs, what holds after a reboot, and what happens with a store that is of no use.

sluiced runs in the client's namespace here, which is what a machine's own namespace is to it otherwise. A reboot is: all
processes killed, namespaces with their devices new, pins and run-time files gone; the store stays.
"""
import contextlib
import errno
import json
import pathlib
import shutil
import subprocess
import unittest

from harness import *

AT_BOOT, ALWAYS, ENGINE, FREE = 81, 82, 83, 84  # ports that a boot-time, persistent, static and no filter blocks


LIBXDP_PINS = pathlib.Path("/sys/fs/bpf/xdp")


class BootDaemon(Daemon):
    """Its store survives what happens to its run-time files."""

    def __init__(self, directory, namespace):
        super().__init__(directory, namespace)
        self.store = self.directory / "lib/policy.db"

    def command(self):
        return super().command() + ["--database", str(self.store)]

    def boot(self, *options):
        """`sluice boot`, whatever comes of it."""
        return self.run("boot", "--database", self.store, "--state", self.state, "--pin-root", self.pins, *options,
                        namespace=self.namespace)

    def block(self, port, lifetime):
        return self.filter("ale_auth_connect_v4", port=port, protocol="tcp", lifetime=lifetime)


class BootCase(SluiceTest):
    start = False

    def setUp(self):
        super().setUp()
        self.daemon = BootDaemon(self.directory, self.client)
        self.addCleanup(self.daemon.stop)
        self.addCleanup(self._unload)

    def serve_all(self):
        for port in (AT_BOOT, ALWAYS, ENGINE, FREE):
            self.serve(port=port)

    def blocked(self):
        """The ports to which nobody in the client's namespace can connect."""
        out = set()
        for port in (AT_BOOT, ALWAYS, ENGINE, FREE):
            error = self.attempt(port=port).wait()
            self.assertIn(error, (0, errno.EPERM), f"port {port}")
            if error:
                out.add(port)
        return out

    def add_filters(self):
        self.daemon.start()
        self.nic_load()
        self.daemon.block(AT_BOOT, "boot-time")
        self.daemon.block(ALWAYS, "persistent")
        self.daemon.block(ENGINE, "static")

    def dispatchers(self):
        """What libxdp pinned for our NICs, where it can: a reboot empties its directory as well."""
        out = []
        for n in range(self.nics):
            link = json.loads(self.client.run("ip", "-j", "link", "show", f"nic{n}").stdout)[0]
            out.append(LIBXDP_PINS / f"dispatch-{link['ifindex']}-{link.get('xdp', {}).get('prog', {}).get('id', 0)}")
        return out

    def reboot(self):
        if self.daemon.process:
            self.daemon.kill()
        dispatchers = self.dispatchers()
        self.net.delete()
        self._remove_pins()
        for directory in dispatchers:
            shutil.rmtree(directory, ignore_errors=True)
        with contextlib.suppress(OSError):
            LIBXDP_PINS.rmdir()
        for path in self.directory.glob("control.sock*"):
            path.unlink()
        self.daemon.state.unlink(missing_ok=True)
        self.net = Topology(self.nics)
        self.addCleanup(self.net.delete)
        self.addCleanup(self._unload)
        self.client, self.far = self.net.client, self.net.server
        self.daemon.namespace = self.client
        self.serve_all()


class Boot(BootCase):
    def test_holds_until_sluiced_runs(self):
        self.serve_all()
        self.add_filters()
        self.assertEqual(self.blocked(), {ALWAYS, ENGINE}, "boot-time filters hold until the engine runs, not while")
        lifetimes = sorted(f["lifetime"] for f in self.daemon.list("filter"))
        self.assertEqual(lifetimes, ["boot-time", "persistent", "static"])
        self.reboot()
        self.assertEqual(self.blocked(), set())
        result = self.daemon.boot()
        self.assertEqual(result.status, 0, result)
        self.assertIn("1 boot-time filter holds on nic0", result.out)
        self.assertEqual(self.blocked(), {AT_BOOT})
        self.daemon.start()
        self.assertEqual(self.blocked(), {ALWAYS})
        self.assertEqual([n["name"] for n in self.daemon.list("nic")], ["nic0"])
        lifetimes = sorted(f["lifetime"] for f in self.daemon.list("filter"))
        self.assertEqual(lifetimes, ["boot-time", "persistent"])
        # and the next reboot, after a policy that was changed since
        self.daemon.do("filter", "delete", next(f["id"] for f in self.daemon.list("filter") if f["lifetime"] == "persistent"))
        self.assertEqual(self.blocked(), set())
        self.reboot()
        self.assertEqual(self.daemon.boot().status, 0)
        self.daemon.start()
        self.assertEqual(self.blocked(), set())

    def test_json(self):
        self.add_filters()
        self.reboot()
        report = json.loads(self.daemon.boot("--json").out)
        self.assertEqual(report["boot"]["filters"], 1)
        self.assertEqual([n["name"] for n in report["boot"]["nics"]], ["nic0"])
        self.assertEqual(report["boot"]["lost"], [])

    def test_refuses_while_sluiced_runs(self):
        self.serve_all()
        self.add_filters()
        result = self.daemon.boot()
        self.assertEqual(result.status, 1, result)
        self.assertIn(f"(pid {self.daemon.process.pid}) is running", result.err)
        self.assertEqual(self.blocked(), {ALWAYS, ENGINE})

    def test_refuses_where_something_is_pinned(self):
        self.serve_all()
        self.add_filters()
        self.daemon.kill()
        result = self.daemon.boot()
        self.assertEqual(result.status, 1, result)
        self.assertIn("what is pinned stays in force", result.err)
        self.assertEqual(self.blocked(), {ALWAYS, ENGINE})

    def test_an_interface_that_is_not_there(self):
        self.add_filters()
        self.reboot()
        result = self.daemon.boot("--nic", "none0")
        self.assertEqual(result.status, 1, result)
        self.assertIn("'none0'", result.err)
        self.assertEqual(self.daemon.leftovers(), [])
        self.assertEqual(self.blocked(), set())
        result = self.daemon.boot("--nic", "none0", "--nic", "nic0")
        self.assertEqual(result.status, 1, result)
        self.assertIn("do not hold on none0", result.err)
        self.assertEqual(self.blocked(), {AT_BOOT})

    def test_a_daemon_that_ran_before_takes_over_too(self):
        """Its state file is there, but says nothing of what boot pinned since."""
        self.serve_all()
        self.daemon.start()
        self.daemon.block(AT_BOOT, "boot-time")
        self.assertEqual(self.daemon.stop(), 0)
        self.assertEqual(self.daemon.boot("--nic", "nic0").status, 0)
        self.assertEqual(self.blocked(), {AT_BOOT})
        self.daemon.start()
        self.assertEqual(self.blocked(), set())

    def test_nothing_to_do(self):
        result = self.daemon.boot()
        self.assertEqual((result.status, result.out), (0, "there are no boot-time filters\n"), result)
        self.assertEqual(self.daemon.leftovers(), [])


class Persistence(BootCase):
    def test_after_kill_and_loss_of_everything_else(self):
        self.serve_all()
        self.add_filters()
        before = next(f for f in self.daemon.list("filter") if f["lifetime"] == "persistent")
        newest = max(f["id"] for f in self.daemon.list("filter"))
        self.daemon.kill()
        self.daemon.start()
        self.assertEqual(self.blocked(), {ALWAYS, ENGINE})
        self.reboot()
        self.daemon.start()
        self.nic_load()
        self.assertEqual(self.blocked(), {ALWAYS})
        after = next(f for f in self.daemon.list("filter") if f["lifetime"] == "persistent")
        for key in ("id", "key", "layer", "sublayer", "weight", "action"):
            self.assertEqual(before[key], after[key])
        self.assertGreater(self.daemon.block(FREE, "static"), newest, "a number was used again")

    def test_run_time_files_lost_pins_kept(self):
        self.serve_all()
        self.add_filters()
        self.daemon.kill()
        self.daemon.state.unlink()
        self.assertEqual(self.blocked(), {ALWAYS, ENGINE})
        self.daemon.start()
        self.assertEqual(self.blocked(), {ALWAYS})

    def test_a_damaged_store_keeps_what_is_in_force(self):
        self.serve_all()
        self.add_filters()
        self.daemon.kill()
        whole = self.daemon.store.read_bytes()
        damaged = whole.replace(b"of a test", b"of a text")
        self.assertNotEqual(damaged, whole)
        for log in self.daemon.store.parent.glob("policy.db-*"):
            log.unlink()
        self.daemon.store.write_bytes(damaged)
        ended = subprocess.run(self.client.argv(*self.daemon.command()), capture_output=True, text=True, timeout=20 * SLACK)
        self.assertEqual(ended.returncode, 1)
        self.assertIn(f"policy store {self.daemon.store} is damaged", ended.stderr)
        self.assertIn("move it away", ended.stderr)
        result = self.daemon.boot()
        self.assertEqual(result.status, 1, result)
        self.assertIn("is damaged", result.err)
        self.assertEqual(self.daemon.store.read_bytes(), damaged, "left as it was")
        self.assertEqual(self.blocked(), {ALWAYS, ENGINE})
        self.daemon.store.write_bytes(whole)  # what the error advises
        self.daemon.start()
        self.assertEqual(self.blocked(), {ALWAYS, ENGINE})

    def test_a_full_store_refuses_and_keeps(self):
        self.daemon.store.parent.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "none", self.daemon.store.parent], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", str(self.daemon.store.parent)], check=False)
        self.serve_all()
        self.add_filters()
        before = sorted(f["id"] for f in self.daemon.list("filter"))
        filler = self.daemon.store.parent / "filler"
        with open(filler, "wb", buffering=0) as f, contextlib.suppress(OSError):
            while f.write(b"x" * 4096):
                pass
        refused = self.daemon.run("filter", "add", "--layer", "ale_auth_connect_v4", "--action", "block", "--remote-port",
                                  FREE, "--lifetime", "persistent")
        self.assertEqual(refused.status, 1, refused)
        self.assertIn(f"policy store {self.daemon.store} has no room", refused.err)
        self.assertEqual(sorted(f["id"] for f in self.daemon.list("filter")), before)
        self.assertEqual(self.blocked(), {ALWAYS, ENGINE})
        filler.unlink()
        self.daemon.block(FREE, "persistent")
        self.assertEqual(self.blocked(), {ALWAYS, ENGINE, FREE})
        self.reboot()
        self.daemon.start()
        self.nic_load()
        self.assertEqual(self.blocked(), {ALWAYS, FREE})


if __name__ == "__main__":
    unittest.main(verbosity=2)
