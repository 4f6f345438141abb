# SPDX-License-Identifier: Apache-2.0
"""Policy files against a live sluiced: applied, compared, taken back, written out; and who dropped what."""
import errno
import json
import select
import subprocess
import time
import unittest

from harness import *

BLOCKS_PORT = """version: 1
sublayers:
  - {name: front, weight: 0x9000}
filters:
  - name: not here
    layer: ale_auth_connect
    sublayer: front
    action: block
    conditions: {protocol: tcp, remote_port: %d}
"""


class PolicyFile(SluiceTest):
    def setUp(self):
        super().setUp()
        self.serve(port=80)
        self.serve(port=81)

    def write(self, text, name="policy.yaml"):
        path = self.directory / name
        path.write_text(text)
        return path

    def connects(self, port, family=4):
        attempt = Attempt(self.client, server(family), port)
        try:
            return attempt.wait() == 0
        finally:
            attempt.close()

    def filters(self):
        return sorted((f["name"], f["layer"], f["key"]) for f in self.daemon.list("filter"))

    def blocks(self, port):
        for family in (4, 6):
            self.assertFalse(self.connects(port, family), f"port {port}, IPv{family}")

    def permits(self, port):
        for family in (4, 6):
            self.assertTrue(self.connects(port, family), f"port {port}, IPv{family}")

    def test_apply_replaces_what_was_applied_and_nothing_else(self):
        own = self.daemon.filter("ale_auth_connect_v4", remote="10.91.0.99")
        said = self.daemon.do("policy", "apply", self.write(BLOCKS_PORT % 80))
        self.assertIn("3 added, 0 changed, 0 deleted", said)
        self.blocks(80)
        self.permits(81)
        said = self.daemon.do("policy", "apply", self.write(BLOCKS_PORT % 81))
        self.assertIn("2 changed", said)
        self.permits(80)
        self.blocks(81)
        self.assertIn(own, [f["id"] for f in self.daemon.list("filter")])
        self.daemon.do("policy", "apply", self.write("version: 1\n"))
        self.permits(81)
        self.assertEqual([f["id"] for f in self.daemon.list("filter")], [own])

    def test_diff_says_what_would_change_and_changes_nothing(self):
        before = self.filters()
        said = json.loads(self.daemon.do("policy", "diff", self.write(BLOCKS_PORT % 80), "--json"))
        self.assertEqual(len(said["added"]), 3)
        self.assertEqual(self.filters(), before)
        self.permits(80)
        self.daemon.do("policy", "apply", self.write(BLOCKS_PORT % 80))
        said = json.loads(self.daemon.do("policy", "diff", self.write(BLOCKS_PORT % 80), "--json"))
        self.assertEqual((said["added"], said["changed"], said["deleted"], said["unchanged"]), ([], [], [], 3))

    def test_without_confirmation_it_goes_back_by_itself(self):
        self.daemon.do("policy", "apply", self.write(BLOCKS_PORT % 81))
        self.daemon.do("policy", "apply", self.write(BLOCKS_PORT % 80), "--confirm", "2s")
        self.blocks(80)
        wait_for(lambda: self.connects(80), "the policy went back", 10)
        self.blocks(81)
        late = self.daemon.run("policy", "confirm")
        self.assertEqual(late.status, 1, late)

    def test_confirmed_it_stays(self):
        self.daemon.do("policy", "apply", self.write(BLOCKS_PORT % 80), "--confirm", "2s")
        self.daemon.do("policy", "confirm")
        time.sleep(3)
        self.blocks(80)

    def test_rollback_brings_the_one_before(self):
        self.daemon.do("policy", "apply", self.write(BLOCKS_PORT % 80))
        first = self.filters()
        self.daemon.do("policy", "apply", self.write(BLOCKS_PORT % 81))
        self.daemon.do("policy", "rollback")
        self.assertEqual(self.filters(), first)
        self.blocks(80)
        self.permits(81)

    def test_what_is_exported_applies_to_the_same(self):
        self.daemon.do("policy", "apply", self.write(BLOCKS_PORT % 80))
        before = self.filters()
        for name, options in (("again.yaml", ()), ("again.json", ("--json",))):
            path = self.write(self.daemon.do("policy", "export", *options) + "\n", name)
            self.assertIn("0 added, 0 changed, 0 deleted, 3 unchanged", self.daemon.do("policy", "diff", path))
            self.daemon.do("policy", "apply", path)
            self.assertEqual(self.filters(), before)
        everything = self.write(self.daemon.do("policy", "export", "--all") + "\n", "all.yaml")
        self.daemon.do("policy", "check", everything)

    def test_a_broken_file_changes_nothing(self):
        self.daemon.do("policy", "apply", self.write(BLOCKS_PORT % 80))
        before = self.filters()
        for text, place in (("version: 1\nfilters:\n  - name: x\n    layer: nowhere\n    action: block\n", ":4:12: "),
                            ("version: 1\nfilters: [\n", ":3:1: "),
                            ("version: 1\nsublayer: []\n", ":2:1: "),
                            ("version: 1\nfilters:\n  - name: x\n    layer: inbound_ippacket_v4\n    action: block\n"
                             "    conditions: {user: root}\n", ":6:24: ")):
            path = self.write(text, "broken.yaml")
            for command in ("check", "diff", "apply"):
                result = self.daemon.run("policy", command, path)
                self.assertEqual(result.status, 1, result)
                self.assertIn(f"{path}{place}", result.err)
        # what only the engine can refuse: the sublayer that a filter of somebody else's is in cannot go
        self.daemon.filter("ale_auth_connect_v4", sublayer="front", remote="10.91.0.99")
        refused = self.daemon.run("policy", "apply", self.write("version: 1\n"))
        self.assertEqual(refused.status, 1, refused)
        self.assertEqual([f for f in self.filters() if f[0] != "of a test"], before)
        self.blocks(80)

    def test_a_large_policy_goes_in_pieces(self):
        many = "".join(f"  - {{name: n{n}, layer: ale_auth_connect_v4, action: block,"
                       f" conditions: {{remote_address: 10.200.{n // 250}.{n % 250}}}}}\n" for n in range(2000))
        self.daemon.do("policy", "apply", self.write("version: 1\nfilters:\n" + many))
        self.assertEqual(len(self.daemon.list("filter")), 2000)
        self.permits(80)
        self.daemon.do("policy", "rollback")
        self.assertEqual(self.daemon.list("filter"), [])

    def test_explain_says_which_filter_dropped_it(self):
        self.daemon.do("policy", "apply", self.write(BLOCKS_PORT % 80))
        self.blocks(80)
        def drop():
            result = self.daemon.run("explain", "--drop", "last", "--json")
            return json.loads(result.out) if result.status == 0 else None
        said = wait_for(drop, "the drop is recorded")
        self.assertEqual(said["event"]["type"], "drop")
        self.assertEqual(said["event"]["filter_name"], "not here")
        self.assertTrue(said["event"]["layer"].startswith("ale_auth_connect_v"), said)
        self.assertEqual(said["evaluation"]["result"]["filter_name"], "not here")
        self.assertEqual(said["evaluation"]["result"]["action"], "block")
        by_id = self.daemon.do("explain", "--drop", said["event"]["id"])
        self.assertIn("not here", by_id)
        events = [json.loads(line) for line in self.daemon.do("events", "--json").splitlines()]
        self.assertIn(said["event"]["id"], [e["id"] for e in events])

    def test_events_are_followed(self):
        self.daemon.do("policy", "apply", self.write(BLOCKS_PORT % 80))
        command = [str(SLUICE), "--socket", str(self.daemon.socket), "events", "--follow", "--json"]
        follower = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.addCleanup(lambda: (end_process(follower), follower.stdout.close()))
        time.sleep(0.5)
        seen = []
        def dropped():
            self.assertFalse(self.connects(80))
            while select.select([follower.stdout], [], [], 0.5)[0]:
                seen.append(json.loads(follower.stdout.readline()))
            return any(e["type"] == "drop" and e["filter_name"] == "not here" for e in seen)
        wait_for(dropped, "a drop is told")

    def test_explain_is_the_same_live_and_of_the_file(self):
        path = self.write(BLOCKS_PORT % 80)
        self.daemon.do("policy", "apply", path)
        for port, action in ((80, "block"), (81, "permit")):
            tuple_ = ("explain", "tcp", f"{CLIENT4}:5555", f"{SERVER4}:{port}", "--json")
            live = json.loads(self.daemon.do(*tuple_))["result"]
            saved = json.loads(self.daemon.do(*tuple_, "--policy", path))["result"]
            self.assertEqual(live["action"], action)
            self.assertEqual((live["action"], live.get("filter_name")), (saved["action"], saved.get("filter_name")))
            self.assertEqual(self.connects(port), action == "permit")


class Objects(SluiceTest):
    load = False

    def test_by_command(self):
        do = self.daemon.do
        provider = do("provider", "add", "a provider", "--service", "a.service")
        sublayer = do("sublayer", "add", "a sublayer", "--weight", "77", "--lifetime", "persistent")
        callout = do("callout", "add", "a callout", "--layer", "ale_auth_connect_v4")
        self.assertIn(provider, [p["key"] for p in self.daemon.list("provider")])
        found = next(s for s in self.daemon.list("sublayer") if s["key"] == sublayer)
        self.assertEqual((found["weight"], found["lifetime"]), (77, "persistent"))
        shown = json.loads(do("callout", "show", "a callout", "--json"))["callouts"][0]
        self.assertEqual((shown["key"], shown["layer"]), (callout, "ale_auth_connect_v4"))
        number = self.daemon.filter("ale_auth_connect_v4", sublayer="a sublayer",
                                    condition="remote_port: {not: [22, 3000-3999]}", user="root")
        shown = json.loads(do("filter", "show", number, "--json"))["filters"][0]
        self.assertEqual(shown["conditions"], {"user": "root", "remote_port": ["0-21", "23-2999", "4000-65535"]})
        self.assertEqual(json.loads(do("filter", "show", shown["key"], "--json"))["filters"][0]["id"], number)
        used = self.daemon.run("sublayer", "delete", "a sublayer")
        self.assertEqual(used.status, 1, used)
        do("filter", "delete", number)
        for kind, name in (("sublayer", sublayer), ("provider", "a provider"), ("callout", callout)):
            do(kind, "delete", name)
            self.assertNotIn(name, do(kind, "list"))
        gone = self.daemon.run("filter", "show", number)
        self.assertEqual(gone.status, 1, gone)


if __name__ == "__main__":
    unittest.main()
