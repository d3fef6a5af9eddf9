"""Show finished, running and pending jobs, and why the pending ones would run.

    python workflow/engine/status.py [arguments of snakemake, such as --configfile or --directory]

It parses the output of Snakemake's --summary and --dry-run as of 9.27, whose form may change;
tests/unit/engine/test_status.py fails if it does.
"""

import fcntl
import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
REASONS = {
    "Missing output files": "not made yet",
    "Code has changed": "its command has changed",
    "Input files updated by another job": "follows {of}",
    "Updated input files": "changed: {files}",
    "Set of input files has changed": "its set of input files has changed",
    "Software environment definition has changed": "its environment has changed",
    "Params have changed": "{params}",
    "Forced execution": "forced",
    "Incomplete": "was interrupted",
}


def snakemake(*args: str) -> str:
    """Return Snakemake's output; exit with its message if it fails."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    done = subprocess.run([*command, *args], capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr.strip() or done.stdout.strip())
    # The table goes to one of the two, the plan to the other.
    return done.stdout + done.stderr


def flat(values: dict, path: str = "") -> dict[str, object]:
    """Return settings by dotted name."""
    found = {}
    for name, value in values.items():
        key = f"{path}.{name}" if path else name
        found |= flat(value, key) if isinstance(value, dict) else {key: value}
    return found


def settings_in(text: str) -> dict[str, object]:
    """Return the settings among the parameters that a reason lists."""
    for found in re.findall(r"'(\{.*?\})'(?=,|\s|$)", text):
        try:
            return flat(json.loads(found))
        except ValueError:
            continue
    return {}


def changed_code(reason: str) -> list[str]:
    """Return the files of code among the parameters that a reason lists, sorted."""
    return sorted(set(re.findall(r"'([\w./-]+) [0-9a-f]{16}'", reason)))


def changed_params(reason: str) -> str:
    """Return which settings and files of code changed, by the parameters before and now."""
    code = [f"{name} has changed" for name in changed_code(reason)]
    before, _, now = reason.partition(" now: ")
    before, now = settings_in(before.partition(" before: ")[2]), settings_in(now)
    changed = [
        f"{key} {json.dumps(before.get(key))} to {json.dumps(now.get(key))}"
        for key in sorted(before.keys() | now.keys())
        if before.get(key) != now.get(key)
    ]
    return ", ".join(changed + code) or "its inputs have changed"


def explained(reason: str, rule_of: dict[str, str]) -> str:
    """Return a job's reason in fewer words.

    Args:
        rule_of: the rule that makes each file.
    """
    if reason.startswith("Missing output files"):
        # A job that runs in any case needs no further reason.
        return REASONS["Missing output files"]
    told = []
    for beginning, words in REASONS.items():
        _, found, rest = reason.partition(beginning)
        if not found:
            continue
        files = [name.strip() for name in rest.partition("; ")[0].lstrip(": ").split(",")]
        of = dict.fromkeys(rule_of.get(name, name) for name in files)
        told.append(
            words.format(
                of=", ".join(of),
                files=", ".join(Path(name).name for name in files),
                params=changed_params(rest) if "{params}" in words else "",
            )
        )
    return "; ".join(told) or reason.partition(":")[0]


def waiting_jobs(plan: str, rule_of: dict[str, str]) -> dict[str, dict[str, list[str]]]:
    """Return a dry run's jobs: by rule and reason, their wildcards, such as seed or seed/shard."""
    found: dict[str, dict[str, list[str]]] = {}
    for job in re.split(r"^\[\w{3} .*\]$", plan, flags=re.MULTILINE)[1:]:
        rule = re.search(r"^(?:local)?(?:rule|checkpoint) (\w+):", job, re.MULTILINE)
        reason = re.search(r"^    reason: (.*)$", job, re.MULTILINE)
        wildcards = re.search(r"^    wildcards: (.*)$", job, re.MULTILINE)
        if rule and rule.group(1) not in ("all", "default"):
            why = explained(reason.group(1) if reason else "", rule_of)
            # As in the paths of outputs, which do not name the last round.
            values = re.findall(r"\w+=([^,\s]*)", wildcards.group(1)) if wildcards else []
            named = "/".join(value.strip("/") for value in values if value)
            found.setdefault(rule.group(1), {}).setdefault(why, []).append(named)
    return found


def at_work(logs: Path) -> list[str]:
    """Return the last log line of each running job, which holds the lock of its log."""
    told = []
    for lock in sorted(logs.rglob(".*.log.lock")):
        log = lock.with_name(lock.name.removeprefix(".").removesuffix(".lock"))
        with open(lock) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lines = log.read_text().splitlines() if log.exists() else []
                told.append(f"{log}: {lines[-1] if lines else 'just started'}")
            except OSError:
                # Some network file systems have no locks.
                pass
    return told


def main() -> None:
    args = sys.argv[1:]
    rule_of = {}
    for line in snakemake(*args, "--summary").splitlines():
        columns = line.split("\t")
        if len(columns) == 6 and columns[0] != "output_file":
            rule_of[columns[0]] = columns[2]
    waiting = waiting_jobs(snakemake(*args, "--dry-run"), rule_of)
    done = [rule for rule in dict.fromkeys(rule_of.values()) if rule not in waiting]
    folder = Path(args[args.index("--directory") + 1]) if "--directory" in args else Path()
    print(f"Done     {', '.join(done) or 'nothing'}")
    for words in at_work(folder / "results/logs"):
        print(f"Running  {words}")
    for rule, reasons in waiting.items():
        for why, jobs in reasons.items():
            named = f"{rule} {', '.join(sorted(jobs, key=lambda job: job.zfill(9)))}".strip()
            print(f"Pending  {named}: {why}")
    if not waiting:
        print("Pending  nothing")


if __name__ == "__main__":
    main()
