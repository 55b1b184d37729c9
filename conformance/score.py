"""Judges one suite of the referee and prints its score line.

    score.py NAME STATUS LOG RESULTS SCORE

The referee judges a client by what it saw of it, within the requirements of a revision. This adds: each scenario was really
played, whether it is scored or not, passed all its checks, and the client came to the end that it expected, a refusal where
it had to refuse. Some scenarios the referee counts as passed when the client does nothing at all.

SCORE is the file that it writes for report.py: by scenario how many checks passed, failed and were skipped, and whether the
scenario passed.
"""

import json
import pathlib
import re
import sys

name, status, log, results, score = sys.argv[1:]

wrong, passed, scenarios = [], 0, {}
for file in sorted(pathlib.Path(results).rglob("checks.json")):
    scenario = re.sub(r"-\d{4}-\d\d-\d\dT[\d-]+Z$", "", str(file.parent.relative_to(results)))
    checks = json.loads(file.read_text())
    good = [c for c in checks if c["status"] == "SUCCESS"]
    before = len(wrong)
    bad = [c for c in checks if c["status"] in ("FAILURE", "WARNING")]
    passed += len(good)
    for check in bad:
        wrong.append(f"{scenario}: {check['status']} {check['id']}: {check.get('errorMessage') or check['description']}")
    if not good:
        wrong.append(f"{scenario}: no check passed; it was not played")
    said = (file.parent / "stdout.txt").read_text().strip()
    if said != "ok":
        wrong.append(f"{scenario}: the client did not come to its end: {said}{(file.parent / 'stderr.txt').read_text().strip()}")
    scenarios[scenario] = {
        "passed": len(good),
        "failed": len(bad),
        "skipped": sum(c["status"] == "SKIPPED" for c in checks),
        "ok": len(wrong) == before,
    }
pathlib.Path(score).write_text(json.dumps(scenarios))

# The referee runs at least the scenarios of its requirements; a run that saw few broke off.
if len(scenarios) < 18:
    wrong.append(f"only {len(scenarios)} scenarios were played")
if wrong or status != "0":
    print(f"FAIL {name}: {len(scenarios)} scenarios, {passed} checks passed; the referee's exit status is {status}")
    for line in wrong:
        print(f"     {line}")
    if status != "0":
        words = re.sub(r"\x1b\[\d+m", "", pathlib.Path(log).read_text())
        verdict = words.partition("\nTotal: ")[2] or words[-2000:]
        print("\n".join(f"     {line}" for line in verdict.splitlines() if line))
    sys.exit(1)
print(f"ok   {name}: {len(scenarios)} scenarios, {passed} checks")
