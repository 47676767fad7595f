# Copyright 2026 The Hallpass Authors.
# SPDX-License-Identifier: Apache-2.0
"""Lets MkDocs read the pages as GitHub does.

A link that leaves docs/ leads to the repository. A list or a table begins without an empty line before it, and what belongs to
an item of a list is indented by its own width and not by four.
"""

import os
import posixpath
import re

LINK = re.compile(r"(\]\()([^)#:\s]+)((?:#[^)\s]*)?\))")
ITEM = re.compile(r"^( *)([-*]|\d+\.) ")


def on_page_markdown(markdown, page, config, files):
    repository = os.path.abspath(os.path.join(os.path.dirname(config.config_file_path), "..", ".."))
    folder = posixpath.dirname(posixpath.join("docs", page.file.src_uri))

    def outside(match):
        target = posixpath.normpath(posixpath.join(folder, match[2]))
        if target.startswith("docs/") and not os.path.isdir(os.path.join(repository, target)):
            return match[0]
        if not os.path.exists(os.path.join(repository, target)):
            return match[0]  # MkDocs reports it
        kind = "tree" if os.path.isdir(os.path.join(repository, target)) else "blob"
        return f"{match[1]}{config.repo_url}/{kind}/main/{target}{match[3]}"

    lines, fenced, before, widths = [], False, "", []
    for line in markdown.split("\n"):
        fence = line.lstrip().startswith("```")
        if not fenced and not fence:
            line = LINK.sub(outside, line)
            begins = ITEM.match(line) or line.startswith("|")
            continues = ITEM.match(before) or before.startswith(("|", " ")) or not before.strip()
            if begins and not continues:
                lines.append("")
        before = line
        lines.append(deepen(line, widths, fenced))
        if fence:
            fenced = not fenced
    return "\n".join(lines)


def deepen(line, widths, fenced):
    """Indents by four for each item of a list that the line belongs to. widths are those of the open items."""
    if not line.strip():
        return line
    indent = len(line) - len(line.lstrip(" "))
    if not fenced:
        while widths and indent < widths[-1]:
            widths.pop()
    depth = len(widths)
    base = widths[-1] if widths else 0
    item = None if fenced else ITEM.match(line)
    result = " " * (4 * depth) + line[min(base, indent):] if depth else line
    if item:
        widths.append(indent + len(item[2]) + 1)
    return result
