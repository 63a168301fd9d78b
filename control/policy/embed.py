# SPDX-License-Identifier: Apache-2.0
# Writes a text file into a C++ source as a string: embed.py INPUT OUTPUT HEADER QUALIFIED_NAME
import pathlib
import sys

source, target, header, name = sys.argv[1:]
text = pathlib.Path(source).read_text(encoding="utf-8")
namespace, _, constant = name.rpartition("::")
lines = [f"// Made from {pathlib.Path(source).name}.", f'#include "{header}"',
         f"namespace {namespace} {{", f"const std::string_view {constant} ="]
for line in text.splitlines():
    escaped = line.replace("\\", "\\\\").replace('"', '\\"')
    lines.append(f'    "{escaped}\\n"')
lines += ["    ;", "}"]
pathlib.Path(target).write_text("\n".join(lines) + "\n", encoding="utf-8")
