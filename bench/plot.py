#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Draws bench/results.svg from bench/results.md: what using a tailnet costs, compared with the other tools. bench/run.py calls it."""
import html
import os
import re

HERE = os.path.dirname(os.path.abspath(__file__))
# (title, unit, heading of the table, its column)
PANELS = (("Starting a program", "ms", "Starting a program", "launcher + true, ms"),
          ("A connection by address", "µs", "Connect", "address, simulated tailnet"),
          ("A connection by name", "µs", "Connect", "name, simulated tailnet"),
          ("50 connections at once, proxy 0.2 s away", "s", "50 connections", "seconds"))
TOOLS = ("native", "tsproxy", "proxychains4", "torsocks", "tsocks")
COLOURS = {"native": "#8c959f", "tsproxy": "#1a7f37"}
WIDTH, BAR, GAP, LABEL = 410, 20, 6, 96


def tables(text):
    """{heading: {row: {column: cell}}}"""
    found = {}
    for section in re.split(r"^## ", text, flags=re.M)[1:]:
        rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line.startswith("|")]
        if len(rows) > 2:
            found[section.split("\n")[0]] = {row[0]: dict(zip(rows[0], row)) for row in rows[2:]}
    return found


def value(table, tool, column):
    """A number, or what stands in its place: "fails", or that not all succeeded; None where nothing was measured."""
    row = table.get(tool, {})
    cell = row.get(column, "")
    worked = row.get("worked, of 50", "50")
    if worked != "50":
        return f"{worked} of 50 succeed"
    if cell in ("", "-"):
        return None
    return float(cell) if re.fullmatch(r"[0-9.]+", cell) else cell


def panel(x, y, title, unit, table, column):
    values = [(tool, value(table, tool, column)) for tool in TOOLS]
    most = max(v for _, v in values if isinstance(v, float))
    out = [f'<text x="{x}" y="{y}" font-weight="bold">{html.escape(title)}, {unit} (less is better)</text>']
    for i, (tool, v) in enumerate(values):
        top = y + 12 + i * (BAR + GAP)
        out.append(f'<text x="{x + LABEL - 8}" y="{top + 15}" text-anchor="end">{tool}</text>')
        if isinstance(v, float):
            wide = max(2, v / most * (WIDTH - LABEL - 70))
            out.append(f'<rect x="{x + LABEL}" y="{top}" width="{wide:.1f}" height="{BAR}" fill="{COLOURS.get(tool, "#d0883d")}"/>')
            out.append(f'<text x="{x + LABEL + wide + 6:.1f}" y="{top + 15}">{v:g}</text>')
        else:
            out.append(f'<text x="{x + LABEL}" y="{top + 15}" fill="#8c959f">{v or "not possible"}</text>')
    return out


def main():
    with open(os.path.join(HERE, "results.md"), encoding="utf-8") as f:
        found = tables(f.read())
    high = 12 + len(TOOLS) * (BAR + GAP)
    width, height = 2 * WIDTH + 20, 2 * (high + 40)
    svg = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" font-size="13">',
           '<rect width="100%" height="100%" fill="white"/>']
    for i, (title, unit, heading, column) in enumerate(PANELS):
        table = next(rows for name, rows in found.items() if name.startswith(heading))
        svg += panel(10 + i % 2 * (WIDTH + 10), 24 + i // 2 * (high + 36), title, unit, table, column)
    with open(os.path.join(HERE, "results.svg"), "w", encoding="utf-8") as f:
        f.write("\n".join(svg) + "\n</svg>\n")


if __name__ == "__main__":
    main()
