"""The Kubernetes profile, with a fake API server that runs each pod on this machine.

Each pod has its own folder. Pods share only the storage (a folder instead of a bucket) and the
volume of saved states. Scheduling on a real server, the image and S3 are not tested.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from support.running import SUBMISSION, TINY, complete, copy_project, wait_for

ABSENT = [
    *(f"snakemake_{name}" for name in ("executor_plugin_kubernetes", "storage_plugin_fs")
      if find_spec(f"snakemake_{name}") is None),
    *(name for name in ("rsync", "git") if shutil.which(name) is None),
]  # fmt: skip
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(ABSENT), reason=f"no {', '.join(ABSENT)} here: make test-engines"),
]


class Server(BaseHTTPRequestHandler):
    """The part of the Kubernetes API that the plugin uses."""

    jobs: dict[str, subprocess.Popen]
    bodies: list[dict]
    folder: Path

    def answer(self, content: dict, status: int = 200) -> None:
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_) -> None:
        pass

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path.endswith("/jobs"):
            self.bodies.append(body)
            self.start(body)
        self.answer(body, 201)

    def start(self, body: dict) -> None:
        name, spec = body["metadata"]["name"], body["spec"]["template"]["spec"]
        (container,) = spec["containers"]
        workdir = self.folder / name
        for mount in container["volumeMounts"]:
            inside = workdir / Path(mount["mountPath"]).relative_to("/workdir")
            if mount["name"] == "workdir":
                inside.mkdir(parents=True)
            else:
                inside.parent.mkdir(parents=True)
                inside.symlink_to(self.folder / "volumes" / mount["name"])
        with open(self.folder / f"{name}.log", "w") as log:
            self.jobs[name] = subprocess.Popen(
                [*container["command"], *container["args"]],
                cwd=workdir, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    def do_GET(self) -> None:
        if found := re.search(r"/jobs/([\w-]+)/status", self.path):
            status = self.jobs[found.group(1)].poll()
            key = "active" if status is None else "failed" if status else "succeeded"
            self.answer({"metadata": {"name": found.group(1)}, "status": {key: 1}})
        else:
            self.answer({"items": []})

    def do_DELETE(self) -> None:
        self.answer({})


@pytest.fixture
def server(tmp_path, monkeypatch):
    """The fake API server, with a kubeconfig that points to it."""
    bodies: list[dict] = []
    state = {"jobs": {}, "bodies": bodies, "folder": tmp_path / "pods"}
    handler = type("Handler", (Server,), state)
    (tmp_path / "pods/volumes/salt-states").mkdir(parents=True)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        named = {"name": "here"}
        config = {
            "apiVersion": "v1", "kind": "Config", "current-context": "here",
            "clusters": [named | {"cluster": {
                "server": f"http://127.0.0.1:{listening.server_port}"}}],
            "users": [named | {"user": {"token": "none"}}],
            "contexts": [named | {"context": {"cluster": "here", "user": "here"}}],
        }  # fmt: skip
        (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config))
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
        # The image's content: this Python with all packages, so nothing is installed.
        (tmp_path / "image").mkdir()
        programs = {"python": f'exec {sys.executable} "$@"', "pip": "exit 0"}
        for name, text in programs.items():
            (tmp_path / f"image/{name}").write_text(f"#!/bin/sh\n{text}\n")
            (tmp_path / f"image/{name}").chmod(0o755)
        monkeypatch.setenv("PATH", os.pathsep.join([str(tmp_path / "image"), os.environ["PATH"]]))
        yield handler
        listening.shutdown()


@pytest.fixture
def project(tmp_path) -> Path:
    """A git checkout of the project, since pods get the tracked files."""
    folder = copy_project(tmp_path / "project")
    config = yaml.safe_load(TINY.read_text())
    config["ensemble"]["seeds"] = [0]
    config["training"] |= {"epochs": 10, "stopping_patience": 10}
    (folder / "mine.yaml").write_text(yaml.safe_dump(config))
    for command in (["init", "--quiet"], ["add", "."]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return folder


def test_pods_run_the_demo_and_a_member_resumes_in_another_pod(server, project, tmp_path):
    command = [
        *(sys.executable, "-m", "snakemake", "--workflow-profile", "profiles/kubernetes"),
        *("--configfile", "mine.yaml", "--seconds-between-status-checks", "1"),
        *("--default-storage-provider", "fs", "--default-storage-prefix", tmp_path / "bucket"),
    ]
    with open(tmp_path / "said.txt", "w") as said:
        run = subprocess.Popen(command, cwd=project, stdout=said, stderr=said)
        state = tmp_path / "pods/volumes/salt-states/0.pt"
        wait_for(lambda: state.exists() or run.poll() is not None)
        training = [name for name, job in server.jobs.items() if job.poll() is None]
        for name in training:
            os.killpg(server.jobs[name].pid, signal.SIGKILL)
        run.wait()
    assert run.returncode == 0, (tmp_path / "said.txt").read_text()
    results = tmp_path / "bucket/results"
    assert "resumes after epoch" in (results / "logs/train/0.log").read_text()
    containers = [body["spec"]["template"]["spec"]["containers"][0] for body in server.bodies]
    for container in containers:
        assert container["image"] == "registry.example.org/salt-segmentation:latest"
        asked, limits = container["resources"]["requests"], container["resources"]["limits"]
        assert asked["nvidia.com/gpu"] == limits["nvidia.com/gpu"]
        wanted = re.search(r"--target-jobs '?(\w+):", container["args"][1]).group(1)
        computes = wanted in ("check_kind", "train", "predict_validation", "predict_test")
        assert asked["nvidia.com/gpu"] == str(int(computes))
    complete(tmp_path / "local", *SUBMISSION, config=project / "mine.yaml")
    ours, theirs = (
        (folder / "submission.csv").read_bytes() for folder in (results, tmp_path / "local/results")
    )
    assert ours == theirs
