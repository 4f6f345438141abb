# SPDX-License-Identifier: Apache-2.0
"""Drivers in the manner of the platform's own example, loaded by sluice-host and seen from outside."""
import pathlib
import re
import struct
import subprocess
import unittest

from harness import PLUGINS, SluiceTest, wait_for

DRIVERS = PLUGINS / "tests"
SEED_KEY = "6d3f1a52-90c4-4b7e-a108-5e27c9440b31"


def variable(pid, library, name, count=1):
    """The unsigned 32-bit values of a driver's variable, read from the memory of its host."""
    symbols = subprocess.run(["nm", "--defined-only", str(library)], check=True, capture_output=True, text=True).stdout
    address = next(int(line.split()[0], 16) for line in symbols.splitlines() if line.split()[-1] == name)
    base = next(int(line.split("-")[0], 16) for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines()
                if line.endswith(str(library)))
    with open(f"/proc/{pid}/mem", "rb") as memory:
        memory.seek(base + address)
        return struct.unpack(f"{count}I", memory.read(4 * count))


class Drivers(SluiceTest):
    nics = 1
    load = False

    def registered(self):
        return [c for c in self.daemon.list("callout") if c["registered"]]

    def load_driver(self, name, callouts):
        library = (DRIVERS / f"{name}.so").resolve()
        host = self.host(library, wait=False)
        wait_for(lambda: len(self.registered()) == callouts, f"{name} has registered {callouts} callouts")
        return host, library

    def unload(self, host):
        host.stop()
        wait_for(lambda: not self.registered(), "nothing is left registered")

    def test_each_compilation_of_the_seed_driver_is_listed_with_the_id_that_its_variable_received(self):
        names = sorted(path.stem for path in DRIVERS.glob("seed_registering_*.so"))
        self.assertEqual(len(names), 16, "C11, C17, C++17 and C++20 by two compilers, plain and short and hidden")
        for name in names:
            with self.subTest(name):
                host, library = self.load_driver(name, 1)
                callout = self.registered()[0]
                self.assertEqual(callout["key"].strip("{}").lower(), SEED_KEY)
                self.assertEqual((callout["local_id"],), variable(host.pid, library, "CalloutId"))
                self.unload(host)

    def test_one_two_and_100_callouts_in_one_driver(self):
        for count in (1, 2, 100):
            with self.subTest(count):
                host, library = self.load_driver(f"registering_{count}", count)
                ids = sorted(c["local_id"] for c in self.registered())
                self.assertEqual(ids, sorted(variable(host.pid, library, "CalloutIds", count)))
                self.assertEqual(len(set(ids)), count)
                self.unload(host)

    def test_the_same_key_twice_is_refused_in_one_driver_and_over_hosts(self):
        # This driver's entry succeeds only if its second registration gave STATUS_FWP_ALREADY_EXISTS.
        first, _ = self.load_driver("registering_same_key", 1)
        second = self.host((DRIVERS / "registering_1.so").resolve(), wait=False)
        wait_for(lambda: second.process.poll() is not None, "the second host ends")
        self.assertNotEqual(second.process.returncode, 0)
        self.assertTrue(re.search("STATUS_FWP_ALREADY_EXISTS", second.log.read_text()), second.log.read_text())
        self.assertEqual(len(self.registered()), 1)
        self.unload(first)
        self.unload(self.load_driver("registering_1", 1)[0])


if __name__ == "__main__":
    unittest.main(verbosity=2)
