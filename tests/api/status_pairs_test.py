#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares the (function, status) pairs of the contracts with the tests of the given program: every pair has a
test or a reason in api/tables/unprovoked.tsv, every test and every reason belongs to a pair."""
import re
import subprocess
import sys

sys.path.insert(0, sys.argv[1])
import status_pairs  # noqa: E402  (found by the line above)

listed = subprocess.run([sys.argv[2], "--gtest_list_tests"], check=True, capture_output=True, text=True).stdout
there = re.findall(r"^  (\w+)", re.search(r"^Status\.\n((?:  .*\n?)*)", listed, re.M).group(1), re.M)
wanted, pairs = set(status_pairs.tests()), status_pairs.pairs()
wrong = [f"no test: Status.{name}" for name in sorted(wanted - set(there))]
wrong += [f"the contract does not name it: Status.{name}" for name in sorted(set(there) - wanted)]
wrong += [f"two tests: Status.{name}" for name in sorted({n for n in there if there.count(n) > 1})]
for function, status in status_pairs.unprovoked():
    if not any(status in s for f, s in pairs.items() if function in ("*", f)):
        wrong.append(f"a reason without a pair: {function} {status}")
print(f"{len(wanted)} pairs with a test, {len(status_pairs.unprovoked())} reasons, {len(wrong)} wrong")
print("\n".join(wrong))
sys.exit(bool(wrong) or len(wanted) < 300)
