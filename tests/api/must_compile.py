#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Which headers may stand together, in which order. `ok` must compile, `no` must be refused."""
import argparse
import pathlib
import subprocess
import sys

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--api", type=pathlib.Path, required=True)
parser.add_argument("--compiler", required=True)
parser.add_argument("--std", required=True)
args = parser.parse_args()

is_c = args.std.startswith("c1")
system = ["sys/socket.h", "netinet/in.h", "arpa/inet.h", "pthread.h", "wchar.h", "uchar.h"]
cpp = [] if is_c else ["string", "thread", "vector", "algorithm", "regex", "iostream", "filesystem"]
spdlog = [] if is_c else ["spdlog/spdlog.h"]
door = "sluice/fwp.h" if is_c else "sluice.hpp"
linux_value = "SLUICE_ASSERT(AF_INET6 == 10 && SLUICE_AF_INET6 == 23);"
windows_value = "SLUICE_ASSERT(AF_INET6 == 23);"

cases = [
    ("ok", system + cpp + spdlog + [door], linux_value),
    ("ok", [door] + system + cpp + spdlog, linux_value),
    ("ok", ["fwpsk.h", "fwpmk.h", "fwpmu.h", "mstcpip.h"] + cpp, windows_value),
    ("ok", cpp + ["ntddk.h", "ndis.h", "fwpsk.h", "fwpmk.h"], windows_value),
    ("ok", ["sluice/fwp.h", "fwpsk.h"], windows_value),
]
for first in ("sys/socket.h", "netinet/in.h", "linux/in.h"):
    for header in ("fwpsk.h", "fwpmk.h", "fwpmu.h", "ntddk.h", "wdm.h", "ntdef.h", "ndis.h", "ws2def.h",
                   "winsock2.h", "mstcpip.h"):
        cases.append(("no", [first, header], ""))
for last in ("sys/socket.h", "netinet/in.h"):
    cases.append(("no", ["fwpsk.h", last], ""))

failed = 0
for wanted, includes, check in cases:
    source = "".join(f"#include <{h}>\n" for h in includes)
    source += "#ifdef __cplusplus\n#define SLUICE_ASSERT(x) static_assert(x, #x)\n#else\n"
    source += "#define SLUICE_ASSERT(x) _Static_assert(x, #x)\n#endif\n" + check + "\nint not_empty;\n"
    command = [args.compiler, f"-std={args.std.replace('c1', 'gnu1') if is_c else args.std}", "-x", "c" if is_c else "c++",
               "-fsyntax-only", f"-I{args.api}", f"-I{args.api}/wdk", "-"]
    run = subprocess.run(command, input=source, text=True, capture_output=True, check=False)
    if (run.returncode == 0) != (wanted == "ok"):
        failed += 1
        print(f"{wanted}: {' '.join(includes)}\n{run.stderr[:2000]}", file=sys.stderr)
print(f"{len(cases)} combinations, {failed} wrong")
sys.exit(failed != 0)
