#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares what a library exports with what it should: a plugin exactly its entry point, libsluice
exactly what its version script and the table of functions in api/README.md list."""
import pathlib
import re
import subprocess
import sys

kind, files = sys.argv[1], sys.argv[2:]


def exported(path):
    text = subprocess.run(["nm", "-D", "--defined-only", path], check=True, capture_output=True, text=True).stdout
    return {(line.split()[-2], line.split()[-1].split("@")[0]) for line in text.splitlines()}


if kind == "plugins":
    wrong = [f for f in files if ("T", "DriverEntry") not in exported(f)]
    print(f"{len(files)} plugins; without DriverEntry: {wrong}")
    sys.exit(bool(wrong) or not files)

library, api = files[0], pathlib.Path(files[1])
names = {name for _, name in exported(library)} - {"SLUICE_0"}
script = set(re.findall(r"^    (\w+);", (api / "sluice.map").read_text(encoding="utf-8"), re.M))
listed = set(re.findall(r"^\| `(\w+)` \| [`(]", (api / "README.md").read_text(encoding="utf-8"), re.M))
functions = {name for name in script if not name.startswith(("FWPM_", "SLUICE_"))}
for title, extra in (("exported but not in sluice.map", names - script),
                     ("in sluice.map but not exported", script - names),
                     ("functions not in README.md", functions - listed),
                     ("in README.md but no function", {n for n in listed - functions if n[0].isupper()})):
    if extra:
        print(f"{title}: {sorted(extra)}", file=sys.stderr)
        sys.exit(1)
