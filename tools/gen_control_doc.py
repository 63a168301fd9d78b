#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the list of methods in docs/control-socket.md from a running daemon's own table.

    tools/gen_control_doc.py SOCKET

tests/e2e/test_control.py fails while the page and the table differ."""

import json
import pathlib
import socket
import sys

PAGE = pathlib.Path(__file__).resolve().parent.parent / "docs" / "control-socket.md"
BEGIN, END = "<!-- methods: begin -->\n", "<!-- methods: end -->\n"


def call(path, method, params=None):
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(str(path))
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params or {}}
        s.sendall((json.dumps(request) + "\n").encode())
        answer = json.loads(s.makefile().readline())
    if "error" in answer:
        raise RuntimeError(answer["error"]["message"])
    return answer["result"]


def cell(text):
    return text.replace("|", "\\|")


def sentence(text):
    text = text[:1].upper() + text[1:]
    return text if text.endswith(".") else text + "."


def render(description):
    lines = []
    for method in description:
        changes = " Changes state." if method["mutates"] else ""
        lines += [f"### `{method['name']}`", "", sentence(method["help"]) + changes, ""]
        if method["parameters"]:
            lines += ["| parameter | type | required | meaning |", "|---|---|---|---|"]
            lines += [f"| `{p['name']}` | {cell(p['type'])} | {'yes' if p['required'] else 'no'} | "
                      f"{cell(p['help'])} |" for p in method["parameters"]]
            lines.append("")
    return "\n".join(lines)


def with_methods(page, description):
    head, rest = page.split(BEGIN)
    _, tail = rest.split(END)
    return head + BEGIN + "\n" + render(description) + "\n" + END + tail


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    PAGE.write_text(with_methods(PAGE.read_text(), call(sys.argv[1], "rpc.describe")))
