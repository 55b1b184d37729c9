"""Judges one suite of the referee and prints its score line.

    score.py NAME STATUS LOG RESULTS BASELINE

The referee judges a client by what it saw of it, within the requirements of a revision. This adds: each scenario that is
not in the baseline was really played, whether it is scored or not, passed all its checks, and the client came to the end
that it expected, a refusal where it had to refuse.
"""

import json
import pathlib
import re
import sys

name, status, log, results, baseline = sys.argv[1:]

left, section = {"client": set(), "vacuous": set()}, None
for line in pathlib.Path(baseline).read_text().splitlines():
    line = line.split("#")[0].rstrip()
    if line.endswith(":"):
        section = line[:-1]
    elif line:
        left[section].add(line.strip().removeprefix("- "))

wrong, later, passed, scenarios = [], [], 0, 0
for file in sorted(pathlib.Path(results).rglob("checks.json")):
    scenario = re.sub(r"-\d{4}-\d\d-\d\dT[\d-]+Z$", "", str(file.parent.relative_to(results)))
    checks = json.loads(file.read_text())
    good = [c for c in checks if c["status"] == "SUCCESS"]
    if scenario in left["client"] | left["vacuous"]:
        later.append(scenario)
        if scenario in left["vacuous"] and good:
            wrong.append(f"{scenario}: it passes; take it out of the baseline")
        continue
    scenarios += 1
    bad = [c for c in checks if c["status"] in ("FAILURE", "WARNING")]
    passed += len(good)
    for check in bad:
        wrong.append(f"{scenario}: {check['status']} {check['id']}: {check.get('errorMessage') or check['description']}")
    if not good:
        wrong.append(f"{scenario}: no check passed; it was not played")
    said = (file.parent / "stdout.txt").read_text().strip()
    if said != "ok":
        wrong.append(f"{scenario}: the client did not come to its end: {said}{(file.parent / 'stderr.txt').read_text().strip()}")

# The referee runs at least the scenarios of its requirements; a run that saw few broke off.
if scenarios < 18:
    wrong.append(f"only {scenarios} scenarios were played")
if wrong or status != "0":
    print(f"FAIL {name}: {scenarios} scenarios, {passed} checks passed; the referee's exit status is {status}")
    for line in wrong:
        print(f"     {line}")
    if status != "0":
        words = re.sub(r"\x1b\[\d+m", "", pathlib.Path(log).read_text())
        verdict = words.partition("\nTotal: ")[2] or words[-2000:]
        print("\n".join(f"     {line}" for line in verdict.splitlines() if line))
    sys.exit(1)
print(f"ok   {name}: {scenarios} scenarios, {passed} checks; {len(later)} scenarios of extensions left for later")
