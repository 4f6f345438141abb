#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compiles every public header alone: no header may lean on what its includer happened to include."""
import argparse
import pathlib
import subprocess
import sys

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--api", type=pathlib.Path, required=True)
parser.add_argument("--compiler", required=True)
parser.add_argument("--std", required=True)
parser.add_argument("--short-wchar", action="store_true")
args = parser.parse_args()

is_c = args.std in ("c11", "c17")
base = [args.compiler, f"-std={args.std}", "-x", "c" if is_c else "c++", "-fsyntax-only"]
base += ["-Wall", "-Wextra", "-Wpedantic", "-Werror", f"-I{args.api}"]
if args.short_wchar:
    base.append("-fshort-wchar")

cases = [(str(h.relative_to(args.api)), []) for h in sorted(args.api.glob("sluice/**/*.h"))]
cases += [(h.name, [f"-I{args.api}/wdk"]) for h in sorted(args.api.glob("wdk/*.h"))]
if not is_c:
    cases += [(str(h.relative_to(args.api)), []) for h in sorted(args.api.glob("sluice/**/*.hpp"))]
    cases.append(("sluice.hpp", []))

failed = 0
for header, extra in cases:
    source = f"#include <{header}>\nextern int sluice_not_empty;\n"
    run = subprocess.run(base + extra + ["-"], input=source, text=True, capture_output=True, check=False)
    if run.returncode:
        failed += 1
        print(f"{header}:\n{run.stderr}", file=sys.stderr)
print(f"{len(cases)} headers, {failed} failed")
sys.exit(failed != 0 or len(cases) < 30)
