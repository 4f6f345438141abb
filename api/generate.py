#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the headers that are pure data from api/tables/*.tsv.

The tables are the one place where a layer, field, condition, constant, status or GUID is
written down. `generate.py` rewrites the headers beside it; `generate.py --out DIR` writes them
into another directory, which is how the test compares them byte for byte.
"""
import argparse
import pathlib
import re

import status_pairs

HERE = pathlib.Path(__file__).resolve().parent

# Groups whose members are one enumeration: group -> [(pattern of its members, type name)].
# What matches no pattern of its group becomes a macro.
ENUMS = {
    "callout_notify_type": [("", "FWPS_CALLOUT_NOTIFY_TYPE")],
    "packet_injection_state": [("", "FWPS_PACKET_INJECTION_STATE")],
    "connection_redirect_state": [("", "FWPS_CONNECTION_REDIRECT_STATE")],
    "stream_action": [("", "FWPS_STREAM_ACTION_TYPE")],
    "vswitch_event": [("", "FWPS_VSWITCH_EVENT_TYPE")],
    "nbl_event": [("", "FWPS_NET_BUFFER_LIST_EVENT_TYPE")],
    "discard_module": [("", "FWPS_DISCARD_MODULE0")],
    "general_discard_reason": [("", "FWPS_GENERAL_DISCARD_REASON")],
    "ip_discard_reason": [("", "IP_DISCARD_REASON")],
    "inet_discard_reason": [("", "INET_DISCARD_REASON")],
    "match_type": [("", "FWP_MATCH_TYPE")],
    "data_type": [("", "FWP_DATA_TYPE")],
    "direction": [("", "FWP_DIRECTION")],
    "ip_version": [("FWP_IP_VERSION_", "FWP_IP_VERSION"), ("FWP_AF_", "FWP_AF")],
    "classify_option": [("", "FWP_CLASSIFY_OPTION_TYPE")],
    "filter_enum": [("FWP_FILTER_ENUM_(FULLY|OVERLAPPING|TYPE)", "FWP_FILTER_ENUM_TYPE")],
    "provider_context_type": [("", "FWPM_PROVIDER_CONTEXT_TYPE")],
    "change_type": [("", "FWPM_CHANGE_TYPE")],
    "engine_option": [(r"FWPM_ENGINE_(?!OPTION_PACKET)", "FWPM_ENGINE_OPTION")],
    "service_state": [("", "FWPM_SERVICE_STATE")],
    "field_type": [("", "FWPM_FIELD_TYPE")],
    "net_event_type": [("", "FWPM_NET_EVENT_TYPE")],
    "net": [(".*COMPARTMENT_ID", "COMPARTMENT_ID")],
}
STATUS_GROUPS = ("ntstatus", "fwp_e_hresult")


def in_windows_door(row):
    """Names that glibc defines too, or that only Windows socket code uses."""
    return row["group"] == "wsa" or row["name"].startswith(("AF_", "IOC_"))


def read(name):
    lines = (HERE / "tables" / name).read_text(encoding="utf-8").splitlines()
    head = lines[0].split("\t")
    return [dict(zip(head, line.split("\t"))) for line in lines[1:]]


def number(text):
    value = int(text, 0)
    if value < 0:
        return f"({value})"
    return f"0x{value:X}ull" if value > 0xFFFFFFFF else f"0x{value:08X}u"


def guid_parts(text):
    a, b, c, d, e = text.split("-")
    tail = d + e
    octets = [f"0x{tail[i:i + 2]}" for i in range(0, 16, 2)]
    return [f"0x{a}", f"0x{b}", f"0x{c}"] + octets


def guid_initializer(text):
    p = guid_parts(text)
    return "{" + ", ".join(p[:3]) + ", {" + ", ".join(p[3:]) + "}}"


def banner(why, comment="//"):
    return [
        f"{comment} SPDX-License-Identifier: Apache-2.0",
        f"{comment} Written by api/generate.py from api/tables; change those, not this.",
        f"{comment} {why}",
    ]


def c_banner(why):
    return [
        "/* SPDX-License-Identifier: Apache-2.0",
        " * Written by api/generate.py from api/tables; change those, not this.",
        f" * {why} */",
        "#pragma once",
        "",
    ]


def enum(type_name, members):
    lines = [f"typedef enum {type_name}_ SLUICE_ENUM_BASE {{"]
    lines += [f"  {name} = {value}," for name, value in members]
    return lines + [f"}} {type_name};", ""]


def constants_header(rows):
    out = c_banner("Actions, rights, flags, match and data types, reasons: every constant but statuses.")
    out += ['#include "detail/base.h"', ""]
    groups = {}
    for row in rows:
        if row["group"] not in STATUS_GROUPS and not in_windows_door(row):
            groups.setdefault(row["group"], []).append(row)
    for group, members in groups.items():
        rest = members
        for pattern, type_name in ENUMS.get(group, []):
            chosen = [r for r in rest if re.match(pattern, r["name"])]
            rest = [r for r in rest if r not in chosen]
            out += enum(type_name, [(r["name"], number(r["value"]).rstrip("u")) for r in chosen])
        out += [f"#define {r['name']} {number(r['value'])}" for r in rest]
        if rest:
            out.append("")
    return out


def status_header(rows):
    out = c_banner("Every status that a function may return, and the user-mode twins of the engine's own.")
    out += ['#include "detail/base.h"', ""]
    for group, cast in (("ntstatus", "NTSTATUS"), ("fwp_e_hresult", "HRESULT")):
        out += [
            f"#define {r['name']} (({cast}){number(r['value'])})" for r in rows if r["group"] == group
        ]
        out.append("")
    return out


def wsa_header(rows):
    out = c_banner("Errors of the socket controls.")
    for row in rows:
        if row["group"] == "wsa":
            value = int(row["value"], 0)
            out.append(f"#define {row['name']} {f'({value})' if value < 0 else value}")
    return out + [""]


def winsock_header(rows):
    out = c_banner("Socket constants with Windows' values; several differ from this system's own.")
    out += ["#include <sluice/detail/wsa_constants.h>", ""]
    for row in filter(in_windows_door, rows):
        if row["group"] == "wsa":
            continue
        value = number(row["value"]) if row["name"].startswith("IOC_") else int(row["value"], 0)
        value = f"({value})" if isinstance(value, int) and value < 0 else value
        out += [f"#undef {row['name']}", f"#define {row['name']} {value}"]
    return out + [""]


def layers_header(layers):
    out = c_banner("Run-time layer ids. They are not for storage: the management GUIDs are.")
    out += ['#include "detail/base.h"', ""]
    return out + enum("FWPS_BUILTIN_LAYERS", [(r["name"], r["value"]) for r in layers])


def fields_header(fields):
    out = c_banner("Per layer, the place of each data field in FWPS_INCOMING_VALUES0::incomingValue.")
    out += ['#include "detail/base.h"', ""]
    by_enum = {}
    for row in fields:
        members = by_enum.setdefault(row["fields"], [])
        members.append((row["name"], row["index"]))
        if row["aliases"] != "-":
            members += [(alias, row["name"]) for alias in row["aliases"].split(",")]
    for name, members in by_enum.items():
        out += enum(name, members)
    return out


def named_guids(layers, conditions, guids):
    rows = [(r["management"], r["guid"]) for r in layers if r["guid"] != "-"]
    rows += [(r["name"], r["guid"]) for r in conditions if r["alias_of"] == "-"]
    rows += [(r["name"], r["guid"]) for r in guids]
    return rows


def guid_definitions(rows):
    return [f"DEFINE_GUID({name}, {', '.join(guid_parts(text))});" for name, text in rows] + [""]


def guids_header(layers, conditions, guids):
    out = c_banner("Keys of layers, conditions and built-in objects; libsluice exports each as data.")
    out += ['#include "detail/guid.h"', ""]
    out += guid_definitions(named_guids(layers, conditions, guids))
    out += [f"#define {r['name']} {r['alias_of']}" for r in conditions if r["alias_of"] != "-"]
    return out + [""]


def own_guids_header(own):
    out = c_banner("Keys of our own: conditions that only this system can have, and built-in objects.")
    out += ['#include "detail/guid.h"', ""]
    for row in own:
        if row["type"] != "-":
            out.append(f"/* {row['name']}: {row['type'].replace('|', ' or ')} */")
    return out + [""] + guid_definitions(own_keys(own))


def own_keys(own):
    return [(r["name"], r["guid"]) for r in own]


def version_script(layers, conditions, guids, own, functions):
    out = ["# SPDX-License-Identifier: Apache-2.0"]
    out += ["# Written by api/generate.py: what libsluice exports, and nothing else."]
    out += ["SLUICE_0 {", "  global:"]
    out += [f"    {name};" for name in functions]
    out += [f"    {name};" for name, _ in named_guids(layers, conditions, guids) + own_keys(own)]
    return out + ["  local:", "    *;", "};", ""]


def data_type(text):
    return text if text != "-" else "FWP_EMPTY"


def tables_header(layers, fields, conditions, guids, own_rows, constants):
    out = banner("The tables as data, for code that walks them: daemon, command line, tests.")
    out += ["#pragma once", "", "#include <array>", "#include <cstdint>", "", '#include "../fwp.h"', ""]
    out += ["namespace sluice::tables {", ""]
    out += [
        "struct Layer {",
        "  const char* name;",
        "  std::uint16_t id;",
        "  const char* management_name;  // null for a reserved id without a GUID",
        "  GUID key;",
        "  std::uint16_t first_field;  // place in `fields`",
        "  std::uint16_t field_count;",
        "};",
        "",
        "struct Field {",
        "  const char* name;",
        "  std::int16_t condition;  // place in `conditions`, -1 for a reserved field",
        "  FWP_DATA_TYPE type;      // of the value at classify time; FWP_EMPTY where unknown",
        "};",
        "",
        "struct Condition {",
        "  const char* name;",
        "  GUID key;",
        "  std::array<FWP_DATA_TYPE, 4> types;  // accepted in filters, FWP_EMPTY after the last",
        "};",
        "",
        "struct NamedGuid {",
        "  const char* kind;  // sublayer, provider, built_in_callout, ...",
        "  const char* name;",
        "  GUID key;",
        "};",
        "",
        "struct Status {",
        "  std::uint32_t value;",
        "  const char* name;",
        "};",
        "",
    ]
    first, count = {}, {}
    for place, row in enumerate(fields):
        first.setdefault(row["fields"], place)
        count[row["fields"]] = count.get(row["fields"], 0) + 1
    own = [r for r in conditions if r["alias_of"] == "-"]
    place_of = {r["name"]: i for i, r in enumerate(own)}
    place_of |= {r["name"]: place_of[r["alias_of"]] for r in conditions if r["alias_of"] in place_of}

    def array(type_name, name, rows):
        return [f"inline constexpr std::array<{type_name}, {len(rows)}> {name}{{{{"] + rows + ["}};", ""]

    rows = []
    for r in layers:
        name = f'"{r["management"]}"' if r["management"] != "-" else "nullptr"
        key = guid_initializer(r["guid"]) if r["guid"] != "-" else "{}"
        f = r["fields"]
        rows.append(f'    {{"{r["name"]}", {r["value"]}, {name}, {key}, {first.get(f, 0)}, {count.get(f, 0)}}},')
    out += array("Layer", "layers", rows)
    rows = [f'    {{"{r["name"]}", {place_of.get(r["condition"], -1)}, {data_type(r["type"])}}},' for r in fields]
    out += array("Field", "fields", rows)
    rows = []
    for r in own + [r for r in own_rows if r["kind"] == "condition"]:
        types = ", ".join(data_type(t) for t in r["type"].split("|"))
        rows.append(f'    {{"{r["name"]}", {guid_initializer(r["guid"])}, {{{types}}}}},')
    out += array("Condition", "conditions", rows)
    rows = [f'    {{"{r["kind"]}", "{r["name"]}", {guid_initializer(r["guid"])}}},'
            for r in guids + [r for r in own_rows if r["kind"] != "condition"]]
    out += array("NamedGuid", "named_guids", rows)
    seen, rows = set(), []
    for r in constants:
        if r["group"] == "ntstatus" and int(r["value"], 0) not in seen:
            seen.add(int(r["value"], 0))
            rows.append(f'    {{{number(r["value"])}, "{r["name"]}"}},')
    out += array("Status", "statuses", rows)
    return out + ["}  // namespace sluice::tables", ""]


def readme(lines):
    """api/README.md with its table of statuses written anew."""
    text = (HERE / "README.md").read_text(encoding="utf-8")
    begin, end = "<!-- statuses: written by generate.py -->", "<!-- end of statuses -->"
    before, rest = text.split(begin)
    return (before + "\n".join([begin, *lines, end]) + rest.split(end)[1]).split("\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=pathlib.Path, default=HERE)
    out = parser.parse_args().out
    layers, fields, conditions = read("layers.tsv"), read("fields.tsv"), read("conditions.tsv")
    constants, guids, own = read("constants.tsv"), read("guids.tsv"), read("sluice_guids.tsv")
    files = {
        "sluice/fwp_constants.h": constants_header(constants),
        "sluice/fwp_status.h": status_header(constants),
        "sluice/fwp_layers.h": layers_header(layers),
        "sluice/fwp_fields.h": fields_header(fields),
        "sluice/fwp_guids.h": guids_header(layers, conditions, guids),
        "sluice/sluice_conditions.h": own_guids_header(own),
        "sluice/detail/fwp_tables.hpp": tables_header(layers, fields, conditions, guids, own, constants),
        "sluice/detail/wsa_constants.h": wsa_header(constants),
        "wdk/detail/winsock_constants.h": winsock_header(constants),
        "README.md": readme(status_pairs.readme_lines()),
        "sluice.map": version_script(layers, conditions, guids, own, [name for _, name, _, _ in status_pairs.declarations()]),
    }
    for name, lines in files.items():
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines).rstrip("\n") + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
