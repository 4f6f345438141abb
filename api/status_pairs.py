# SPDX-License-Identifier: Apache-2.0
"""Which function gives which status: read from the contracts at the declarations.

A status that is named in the comment of a declaration is one that the function can give; what holds
for many functions stands once in fwpm_functions.h and is added here by the same rules. Pairs that no
test provokes stand in tables/unprovoked.tsv, each with its reason."""
import pathlib
import re

HERE = pathlib.Path(__file__).resolve().parent
HEADERS = ("fwps_functions.h", "fwps_flow.h", "fwps_buffers.h",
           "fwps_packet_functions.h", "fwps_buffer_contexts.h", "fwps_inject_functions.h", "ndis_functions.h", "fwpm_functions.h",
           "fwpm_provider.h", "fwpm_sublayer.h", "fwpm_callout.h", "fwpm_filter.h", "fwpm_layer.h", "fwpm_subscribe.h",
           "fwpm_net_event_functions.h", "object_functions.h", "sluice_driver.h", "sluice_hold.h",
           "fwps_redirect_functions.h", "sluice_redirect.h", "wsa_functions.h")
# Functions with socket errors instead of statuses: their tests are in tests/api/sockets_test.cpp.
SOCKET_HEADER = "wsa_functions.h"
DECLARATION = re.compile(r"^SLUICE_API (\w+) NTAPI\s+(\w+)\(([^;]*)\);", re.M)
NOT_ASKED = re.compile(r"Enum\d$|DestroyEnumHandle0$|Unsubscribe|SubscriptionsGet0$|^FwpmLayer|^FwpmEngineClose0$")
CHANGES = re.compile(r"Add\d$|Delete")


def declarations():
    """(result type, function, parameters, comment) of every function, in the headers' order."""
    for header in HEADERS:
        text = (HERE / "sluice" / header).read_text(encoding="utf-8")
        for block in re.split(r"\n\n+", text[text.index("#pragma once"):]):
            comment = "\n".join(re.findall(r"/\*.*?\*/", block, re.S))
            for result, name, parameters in DECLARATION.findall(block):
                yield result, name, parameters, comment


def common(name, parameters):
    if not parameters.lstrip().startswith("HANDLE engineHandle"):
        return []
    out = ["STATUS_INVALID_HANDLE"]
    if not NOT_ASKED.search(name):
        out += ["STATUS_FWP_SESSION_ABORTED", "STATUS_FWP_TXN_ABORTED"]
    if CHANGES.search(name):
        out += ["STATUS_FWP_INCOMPATIBLE_TXN", "STATUS_FWP_TIMEOUT", "STATUS_ACCESS_DENIED"]
    return out


def pairs():
    """{function: its statuses}; empty for one without a status to give."""
    out = {}
    for result, name, parameters, comment in declarations():
        named = re.findall(r"\bSTATUS_[A-Z0-9_]+", comment) if result in ("NTSTATUS", "NDIS_STATUS") else []
        out[name] = list(dict.fromkeys(named + common(name, parameters) if named else []))
    return out


def unprovoked():
    """{(function or *, status): reason}"""
    lines = (HERE / "tables" / "unprovoked.tsv").read_text(encoding="utf-8").splitlines()[1:]
    return {tuple(line.split("\t")[:2]): line.split("\t")[2] for line in lines}


def reason(function, status, reasons):
    return reasons.get((function, status)) or reasons.get(("*", status))


def tests():
    """Every test that must exist, by its name behind `Status.`"""
    reasons, out = unprovoked(), []
    sockets = (HERE / "sluice" / SOCKET_HEADER).read_text(encoding="utf-8")
    elsewhere = {name for _, name, _ in DECLARATION.findall(sockets)}
    for function, statuses in pairs().items():
        if function in elsewhere:
            continue
        out += [f"{function}_{s}" for s in statuses if not reason(function, s, reasons)]
        if not statuses:
            out.append(function)
    return out


def readme_lines():
    out = ["| function | statuses |", "|---|---|"]
    reasons, all_pairs = unprovoked(), pairs()
    for function, statuses in all_pairs.items():
        shown = [f"`{s}`" for s in statuses if not reason(function, s, reasons)]
        out.append(f"| `{function}` | {', '.join(shown) or '(no status)'} |")
    out += ["", "Not provoked by a test:", "", "| function | status | why |", "|---|---|---|"]
    out += [f"| {'any' if f == '*' else f'`{f}`'} | `{s}` | {why} |" for (f, s), why in reasons.items()]
    return out
