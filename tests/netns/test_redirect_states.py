# SPDX-License-Identifier: Apache-2.0
"""What callouts of two vendors hear of FwpsQueryConnectionRedirectState0, at each step of a chain through both proxies."""
import json
import unittest

from harness import BUILD, SERVER4, wait_for
from redirecting import RedirectTest

PLUGIN = BUILD / "tests/netns/redirect_witness.so"


class States(RedirectTest):
    def test_all_four(self):
        """The context comes in the two states of a callout's own redirections only."""
        self.serve()
        log = self.directory / "witness"
        for number, name in enumerate(("first", "second")):
            port = 9900 + number
            self.relay(name, "127.0.0.1", port)
            self.host(PLUGIN, callouts=(name,), environment={"WITNESS_NAME": name, "WITNESS_PORT": str(port),
                                                              "WITNESS_LOG": str(log)})
            self.daemon.do("sublayer", "add", name, "--weight", 2 - number)
            self.daemon.filter("ale_connect_redirect_v4", "callout", name, remote_port=80, protocol="tcp", sublayer=name)
        out = self.client.run("curl", "-sS", "--max-time", 20, f"http://{SERVER4}/", check=False)
        self.assertEqual(out.stdout, "hello\n", out.stderr)
        heard = wait_for(lambda: len(log.read_text().splitlines()) >= 6 and list(map(json.loads, log.read_text().splitlines())),
                         "both were asked about three connections")
        self.assertEqual([(h["name"], h["state"], h["context"]) for h in heard], [
            ("first", "not", None), ("second", "not", None),  # the application's: the second leaves it to the first
            ("first", "self", "from first"), ("second", "other", None),
            ("first", "self before", "from first"), ("second", "self", "from second")])


if __name__ == "__main__":
    unittest.main()
