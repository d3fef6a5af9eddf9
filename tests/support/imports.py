"""The project's files that Python imports for each stage."""

import json
import subprocess
import sys

from support.running import ROOT

SCRIPTS = ROOT / "workflow/scripts"
STAGES = sorted(SCRIPTS.glob("*.py"))

# Imports each script afresh and prints the project's files that Python loaded for it.
IMPORTER = """
import importlib.util, json, sys
from pathlib import Path

folder = Path(sys.argv[1])
sys.path.insert(0, str(folder))
sys.dont_write_bytecode = True

def loaded():
    files = {name: getattr(module, "__file__", None) for name, module in sys.modules.items()}
    return {n: f for n, f in files.items() if f and Path(f).is_relative_to(folder)}

found = {}
for script in sys.argv[2:]:
    for name in loaded():
        del sys.modules[name]
    spec = importlib.util.spec_from_file_location("stage", folder / script)
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    # What is imported only where it is chosen.
    if runtimes := sys.modules.get("saltseg.inference.runtimes"):
        for runtime in runtimes.RUNTIMES.values():
            runtime.load()
    if readers := sys.modules.get("saltseg.survey.readers"):
        for reader in readers.READERS.values():
            reader()
    if model := sys.modules.get("saltseg.networks.model"):
        for entry in model.NETWORKS.values():
            entry.load()
    found[script] = sorted(loaded().values())
for name in loaded():
    del sys.modules[name]
import saltseg.settings.check, saltseg.stage.cli, saltseg.stage.code_files
found["uncounted"] = sorted(loaded().values())
print(json.dumps(found))
"""


def real_imports():
    """Return the project files that Python imports for each script, and those never counted."""
    command = [sys.executable, "-c", IMPORTER, str(SCRIPTS), *(path.name for path in STAGES)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
