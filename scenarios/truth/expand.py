#!/usr/bin/env python3
"""Expands each case's expect.txt into table.csv.

The verdicts are written by hand in expect.txt; nothing here knows what a policy is. A line is

    SOURCES > DESTINATIONS [PORTS] allow|deny

over the 9 pods x/a .. z/c and the 6 ports. Sources and destinations are comma lists of
NAMESPACE/POD with * for either half; ports are a comma list of PROTOCOL, PROTOCOL/PORT or */PORT,
and all when left out. Later lines win. The first rule is that everything is allowed; the last one,
always, that a pod reaches itself (its own address never leaves it). "#" starts a comment.

    expand.py            writes every table.csv
    expand.py --check    says which are not what expect.txt says, and fails
"""

import itertools
import pathlib
import sys

NAMESPACES, PODS = "xyz", "abc"
PORTS = [(p, n) for p in ("TCP", "UDP", "SCTP") for n in (80, 81)]
ALL = [f"{n}/{p}" for n in NAMESPACES for p in PODS]


def pods(text):
    for pattern in text.split(","):
        namespace, _, pod = pattern.partition("/")
        found = [p for p in ALL if namespace in ("*", p[0]) and pod in ("*", "", p[2])]
        if pattern != "*" and (not pod or not found):
            raise ValueError(f"'{pattern}' names no pod")
        yield from ALL if pattern == "*" else found


def ports(text):
    for pattern in text.split(","):
        protocol, _, number = pattern.partition("/")
        found = [(p, n) for p, n in PORTS
                 if protocol in ("*", p.lower()) and number in ("", str(n))]
        if not found:
            raise ValueError(f"'{pattern}' names no port")
        yield from found


def expand(text):
    table = {row: "allow" for row in itertools.product(ALL, ALL, PORTS)}
    for line in text.splitlines():
        words = line.partition("#")[0].split()
        if not words:
            continue
        if len(words) not in (4, 5) or words[1] != ">" or words[-1] not in ("allow", "deny"):
            raise ValueError(f"'{line}' is not SOURCES > DESTINATIONS [PORTS] allow|deny")
        which = list(ports(words[3] if len(words) == 5 else "*"))
        for row in itertools.product(list(pods(words[0])), list(pods(words[2])), which):
            table[row] = words[-1]
    for pod, port in itertools.product(ALL, PORTS):
        table[pod, pod, port] = "allow"
    lines = ["src_ns,src_pod,dst_ns,dst_pod,protocol,port,verdict"]
    for (source, destination, (protocol, port)), verdict in table.items():
        lines.append(",".join([*source.split("/"), *destination.split("/"), protocol, str(port),
                               verdict]))
    return "\n".join(lines) + "\n"


def main():
    stale = []
    for expect in sorted(pathlib.Path(__file__).parent.glob("*/expect.txt")):
        try:
            content = expand(expect.read_text())
        except ValueError as error:
            sys.exit(f"{expect}: {error}")
        table = expect.with_name("table.csv")
        if sys.argv[1:] != ["--check"]:
            table.write_text(content)
        elif not table.exists() or table.read_text() != content:
            stale.append(str(table))
    if stale:
        sys.exit("not what expect.txt says: " + ", ".join(stale))


main()
