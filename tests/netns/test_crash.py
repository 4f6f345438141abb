# SPDX-License-Identifier: Apache-2.0
"""sluiced is killed at each single write that a commit makes: what is left is the old policy or the new one, whole, in
the kernel and in the store, and traffic is judged by it."""
import errno
import os
import signal
import unittest

from harness import *

# Each has two sublayers and an object in each of the two files of the store. Any mixture gives a pair of verdicts that
# neither of them has.
A = """version: 1
sublayers:
- {name: high, weight: 200, lifetime: persistent}
- {name: low, weight: 100}
filters:
- {name: high a, layer: ale_auth_connect_v4, sublayer: high, action: permit, lifetime: persistent,
   flags: [hard], conditions: {protocol: tcp, remote_port: 80}}
- {name: low a, layer: ale_auth_connect_v4, sublayer: low, action: block,
   conditions: {protocol: tcp, remote_port: [80, 443]}}
"""
B = """version: 1
sublayers:
- {name: high, weight: 200, lifetime: persistent}
- {name: low, weight: 100}
filters:
- {name: high b, layer: ale_auth_connect_v4, sublayer: high, action: permit, lifetime: persistent,
   flags: [hard], conditions: {protocol: tcp, remote_port: 443}}
- {name: low b, layer: ale_auth_connect_v4, sublayer: low, action: block,
   conditions: {protocol: tcp, remote_port: [80, 443]}}
"""
VERDICTS = {"a": (0, errno.EPERM), "b": (errno.EPERM, 0)}
WRITES_MAX = 200


class Crash(SluiceTest):
    def setUp(self):
        super().setUp()
        self.serve()
        self.serve(port=443)
        self.files = {}
        for name, text in (("a", A), ("b", B)):
            self.files[name] = self.directory / f"{name}.yaml"
            self.files[name].write_text(text)

    def names(self):
        return sorted(f["name"] for f in json.loads(self.daemon.do("filter", "list", "--json"))["filters"])

    def verdicts(self):
        return tuple(self.attempt(port=port).wait() for port in (80, 443))

    def assert_whole(self, where):
        """Which of the two policies traffic is judged by."""
        kernel = self.verdicts()
        self.assertIn(kernel, VERDICTS.values(), f"{where}: a mixture is in force")
        return next(name for name, verdicts in VERDICTS.items() if verdicts == kernel)

    # ctest: slow
    def test_a_commit_that_is_cut_at_any_write_is_whole_or_not_at_all(self):
        self.daemon.do("policy", "apply", self.files["a"])
        self.assertEqual(self.assert_whole("at first"), "a")
        outcomes = []
        for write in range(1, WRITES_MAX):
            self.daemon.stop()
            os.environ["SLUICE_DIE_AT_WRITE"] = str(write)
            try:
                survived = self.start_and_apply("b")
            finally:
                del os.environ["SLUICE_DIE_AT_WRITE"]
            in_kernel = self.assert_whole(f"sluiced died at write {write}")
            if not survived:
                self.daemon.start()
            after = self.assert_whole(f"restarted after write {write}")
            self.assertEqual(self.names(), [f"high {after}", f"low {after}"], f"the store after write {write}")
            if in_kernel == "b":
                self.assertEqual(after, "b", f"write {write}: what was in force went back")
            outcomes.append(after)
            if survived:
                break
            self.daemon.do("policy", "apply", self.files["a"])
        else:
            self.fail(f"a commit makes more than {WRITES_MAX} writes")
        measured("writes of a start and a commit", len(outcomes) - 1, "")
        self.assertEqual(outcomes[-1], "b", "nothing killed it")
        self.assertIn("a", outcomes)
        self.assertGreater(outcomes.count("b"), 1, "no write was cut after the point of no return")

    def start_and_apply(self, name):
        """False: sluiced was killed on the way."""
        command = self.daemon.command()
        with open(self.daemon.log, "ab") as log:
            self.daemon.process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        process = self.daemon.process
        wait_for(lambda: process.poll() is not None or self.daemon.run("status").status == 0, "sluiced answers or dies", 20)
        if process.poll() is None:
            self.daemon.run("policy", "apply", self.files[name])
            wait_for(lambda: process.poll() is not None or name in self.last_word(), "it is killed or done", 5)
        if process.poll() is None:
            return True
        self.assertEqual(process.returncode, -signal.SIGKILL)
        return False

    def last_word(self):
        done = self.daemon.run("filter", "list", "--json")
        if done.status:
            return ""
        names = [f["name"] for f in json.loads(done.out)["filters"]]
        return names[0][-1] if names else ""


if __name__ == "__main__":
    unittest.main(verbosity=2)
