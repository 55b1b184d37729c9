"""Prints docs/conformance.md.

    report.py PACKAGE.JSON SCORE...

A SCORE is what score.py wrote of a suite, NAME.json. There is no date and no duration in it: the same client makes the same
file.
"""

import json
import pathlib
import sys

package, *files = [pathlib.Path(arg) for arg in sys.argv[1:]]
version = json.loads(package.read_text())["dependencies"]["@modelcontextprotocol/conformance"]
suites = {file.stem: json.loads(file.read_text()) for file in files}


def cell(score):
    if score is None:
        return ""
    text = str(score["passed"])
    if not score["ok"]:
        text = f"**failed**: {score['passed']} of {score['passed'] + score['failed']}"
    if score["skipped"]:
        text += f" ({score['skipped']} skipped)"
    return text


print(f"""# Conformance of the MCP client

The [official conformance suite](https://github.com/modelcontextprotocol/conformance), version {version}, against the client that
`mcptool` and `mcpauth` make. `conformance/run` writes this file; do not edit it. How it judges is in
[conformance/README.md](../conformance/README.md), and what the specification asks beyond these scenarios in [mcp.md](mcp.md).

| Suite | Scenarios passed | Checks passed |
|---|---|---|""")
for name, scores in suites.items():
    passed = sum(s["passed"] for s in scores.values())
    checks = passed + sum(s["failed"] for s in scores.values())
    print(f"| {name} | {sum(s['ok'] for s in scores.values())} of {len(scores)} | {passed} of {checks} |")

print(f"""
`2025-11-25` and `2026-07-28` are what the revision asks of a client, on the wire of this revision, and `all` is every scenario of the suite.
Nothing is expected to fail: there is no list of exceptions.

## Scenarios

The number of checks that passed. A check is skipped when the client did nothing that it could look at: a message that is not of the
revision, or a capability that is not declared because the program did not ask for it. An empty cell: the suite does not have the scenario.

| Scenario | {" | ".join(suites)} |
|---|{"---|" * len(suites)}""")
for scenario in sorted({scenario for scores in suites.values() for scenario in scores}):
    print(f"| `{scenario}` | {' | '.join(cell(scores.get(scenario)) for scores in suites.values())} |")
