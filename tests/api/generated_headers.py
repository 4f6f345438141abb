#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Regenerates what api/generate.py writes and compares it with the committed files, byte for byte."""
import pathlib
import subprocess
import sys
import tempfile

api = pathlib.Path(sys.argv[1])
with tempfile.TemporaryDirectory() as scratch:
    subprocess.run([sys.executable, api / "generate.py", "--out", scratch], check=True)
    written = [p for p in pathlib.Path(scratch).rglob("*") if p.is_file()]
    stale = [p for p in written if p.read_bytes() != (api / p.relative_to(scratch)).read_bytes()]
for path in stale:
    print(f"stale: {path.relative_to(scratch)}; run api/generate.py", file=sys.stderr)
sys.exit(bool(stale) or len(written) != 11)
