# SPDX-License-Identifier: Apache-2.0
"""What the README shows is what works: its plugin is taken out of the text, built, loaded, and holds a connection."""
import pathlib
import re
import subprocess
import sys
import unittest

SOURCE = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(SOURCE / "tests/netns"))
from harness import *

README = (SOURCE / "README.md").read_text()


class Readme(SluiceTest):
    def test_the_plugin_is_short_builds_and_holds(self):
        text = re.search(r"```cpp\n(.*?)```", README, re.S).group(1)
        self.assertLessEqual(text.count("\n"), 20)
        self.assertLess(README.index(text), 1500, "the README opens with it")
        source = self.directory / "first.cpp"
        source.write_text(text)
        plugin = self.directory / "first.so"
        library = next(BUILD.rglob("libsluice.so"))
        # the command that the README gives, with this build tree in place of the installed package
        command = re.search(r"^g\+\+ .*$", README, re.M).group(0)
        self.assertIn("$(pkg-config --cflags --libs sluice)", command)
        command = command.replace("$(pkg-config --cflags --libs sluice)", f"-I{SOURCE}/api -L{library.parent} -lsluice")
        command = command.replace("ask_first.cpp", str(source)).replace("ask_first.so", str(plugin))
        subprocess.run(command, shell=True, check=True)
        self.serve()
        self.host(plugin, callouts=("ask_first",))
        self.daemon.filter("ale_auth_connect_v4", "callout", "ask_first", port=80)
        attempt = self.attempt()
        self.permit(self.daemon.wait_hold())
        self.assertEqual(attempt.wait(), 0)

    def test_the_policy_file_is_good_and_explained(self):
        rules = self.directory / "rules.yaml"
        rules.write_text(re.search(r"```yaml\n(.*?)```", README, re.S).group(1))
        self.assertEqual(self.daemon.run("policy", "check", rules).status, 0)
        said = self.daemon.run("explain", "tcp", "192.0.2.1:40000", "198.51.100.9:23", "--policy", rules)
        self.assertIn("block by filter 1 'no telnet for anyone'", said.out)

    def test_ask_holds_with_no_plugin(self):
        """The filter of the README, for a port that is there, and a decision for always."""
        section = README.split("## Ask, with no plugin")[1].split("##")[0]
        add = re.search(r"^sluice (filter add .*)$", section, re.M).group(1)
        self.serve()
        self.daemon.do(*add.replace("443", "80").split())
        attempt = self.attempt()
        hold = self.daemon.wait_hold(state="held")
        self.assertGreater(hold["deadline_ms"], 290000)
        permit = re.search(r"^sluice (hold permit .*?) +#", section, re.M).group(1)
        self.daemon.do(*permit.replace("ID", str(hold["id"])).split())
        self.assertEqual(attempt.wait(), 0)
        self.assertEqual(self.attempt().wait(), 0, "for always")

    def test_every_command_of_the_text_exists(self):
        """`sluice OBJECT ACTION` in the README is known to the command, and paths in its folder map exist."""
        for command in sorted(set(re.findall(r"^(?:\$ )?(?:sudo )?sluice ([a-z]+(?: [a-z]+)?)", README, re.M))):
            result = self.daemon.run(*command.split(), "--help")
            self.assertEqual(result.status, 0, f"sluice {command} --help: {result}")
        for path in re.findall(r"^\| `([a-z./]+)`", README, re.M):
            self.assertTrue((SOURCE / path).exists(), path)


if __name__ == "__main__":
    unittest.main(verbosity=2)
