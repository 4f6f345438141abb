#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes a C++ source that holds every row of the tables against the compiled headers.

It reads the tables by itself and shares nothing with api/generate.py, so an error there shows."""
import pathlib
import sys

tables, out = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])


def rows(name):
    lines = (tables / name).read_text(encoding="utf-8").splitlines()
    return [line.split("\t") for line in lines[1:]]


windows_only = ("AF_", "IOC_", "WSA", "ERROR_", "SOCKET_ERROR")
source = ["#include <sluice/fwp.h>", '#include "table_checks.h"', ""]
for group, name, value in rows("constants.tsv"):
    if group == "wsa" or name.startswith(windows_only):
        continue
    source.append(f"static_assert(static_cast<UINT64>({name}) == static_cast<UINT64>("
                  + (f"static_cast<INT32>({value}u)" if group in ("ntstatus", "fwp_e_hresult") else f"{value}ull")
                  + f'), "{name}");')
for name, value, *_ in rows("layers.tsv"):
    source.append(f'static_assert({name} == {value}, "{name}");')
for _, index, name, _, _, aliases in rows("fields.tsv"):
    for each in [name] + ([] if aliases == "-" else aliases.split(",")):
        source.append(f'static_assert({each} == {index}, "{each}");')
source += ["", "const std::vector<GuidRow> guid_rows = {"]
guids = [(r[2], r[3]) for r in rows("layers.tsv") if r[3] != "-"]
guids += [(r[0], r[1]) for r in rows("conditions.tsv")]
guids += [(r[1], r[2]) for r in rows("guids.tsv") + rows("sluice_guids.tsv")]
source += [f'    {{"{name}", "{text}", &{name}}},' for name, text in guids]
source += ["};", ""]
out.write_text("\n".join(source), encoding="utf-8")
