"""A stand-in for GitHub's runner: the steps of a composite action, in order, under bash, and the two endpoints of comments."""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

BOT = "github-actions[bot]"
_EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")


@dataclass
class Job:
    """What a run of an action left."""

    code: int = 0
    """Exit code of the first step that failed, else 0."""
    outputs: dict[str, str] = field(default_factory=dict)
    """Outputs of the action."""
    summary: str = ""
    """The job's page."""
    used: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    """Actions that it uses, with their inputs."""
    log: str = ""
    """What the steps printed."""


def run_action(folder: Path, inputs: Mapping[str, str], work: Path, env: Mapping[str, str]) -> Job:
    """Run the composite action in a folder.

    inputs: those that a workflow gives. work: the workspace, and where the runner keeps its files. env: of the job.
    """
    action = yaml.safe_load((folder / "action.yml").read_text(encoding="utf-8"))
    given = {name: str(about.get("default", "")) for name, about in action["inputs"].items()}
    assert set(inputs) <= set(given), "an input that the action has not"
    context: dict[str, Any] = {"inputs": {}, "github": {"token": env["JOB_TOKEN"]}, "steps": {}}
    context["inputs"] = {name: inputs.get(name, _expanded(value, context)) for name, value in given.items()}
    job, files = Job(), work / ".runner"
    files.mkdir(parents=True, exist_ok=True)
    page = files / "summary"
    page.write_text("", encoding="utf-8")
    for number, step in enumerate(action["runs"]["steps"]):
        assert set(step) <= {"uses", "with", "name", "id", "shell", "env", "run"}, "this runner knows no conditions"
        if job.code:
            break
        if "uses" in step:
            options = {k: _expanded(str(v), context) for k, v in step.get("with", {}).items()}
            job.used.append((step["uses"], options))
            continue
        assert step["shell"] == "bash"
        script, output = files / f"{number}.sh", files / f"{number}.output"
        script.write_text(step["run"], encoding="utf-8")
        output.write_text("", encoding="utf-8")
        given_env = {k: _expanded(str(v), context) for k, v in step.get("env", {}).items()}
        own = {"GITHUB_OUTPUT": str(output), "GITHUB_STEP_SUMMARY": str(page), "GITHUB_ACTION_PATH": str(folder)}
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)],
            cwd=work,
            env={**os.environ, **env, **own, **given_env},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        job.log += done.stdout
        job.code = done.returncode
        lines = output.read_text(encoding="utf-8").splitlines()
        context["steps"][step.get("id", f"step-{number}")] = dict(line.split("=", 1) for line in lines)
    job.outputs = {name: _expanded(str(about["value"]), context) for name, about in action["outputs"].items()}
    job.summary = page.read_text(encoding="utf-8")
    return job


def _expanded(text: str, context: Mapping[str, Any]) -> str:
    def value(match: re.Match[str]) -> str:
        match match[1].split("."):
            case ["inputs", name]:
                return str(context["inputs"][name])
            case ["github", "token"]:
                return str(context["github"]["token"])
            case ["steps", step, "outputs", name]:
                return str(context["steps"].get(step, {}).get(name, ""))
        raise AssertionError(f"this runner knows no {match[0]}")

    return _EXPRESSION.sub(value, text)


class Comments:
    """The comments of a pull request, at the endpoints of GitHub."""

    def __init__(self, token: str, others: int = 0) -> None:
        """others: how many comments of other people are there before."""
        self.token, self.url, self.writable = token, "", True
        self.calls: list[str] = []
        self.all: list[dict[str, Any]] = []
        for i in range(others):
            self.add(f"comment {i}", "somebody")

    def add(self, body: str, login: str) -> dict[str, Any]:
        """Add a comment."""
        self.all.append({"id": 100 + len(self.all), "body": body, "user": {"login": login}})
        return self.all[-1]

    def of(self, login: str) -> list[str]:
        """Return the comments of a user."""
        return [comment["body"] for comment in self.all if comment["user"]["login"] == login]


@contextmanager
def serving(comments: Comments, repository: str, number: int) -> Iterator[Comments]:
    """Serve comments on a pull request while the block runs."""
    base = f"/repos/{repository}/issues"

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            query = {k: int(v[0]) for k, v in parse_qs(url.query).items()}
            if url.path != f"{base}/{number}/comments":
                return self._answer(404, {})
            first = query["per_page"] * (query["page"] - 1)
            return self._answer(200, comments.all[first : first + query["per_page"]])

        def do_POST(self) -> None:
            if self.path != f"{base}/{number}/comments":
                return self._answer(404, {})
            return self._write(201, None)

        def do_PATCH(self) -> None:
            head, _, key = self.path.rpartition("/")
            found = [c for c in comments.all if str(c["id"]) == key]
            if head != f"{base}/comments" or not found:
                return self._answer(404, {})
            return self._write(200, found[0])

        def _write(self, code: int, comment: dict[str, Any] | None) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["body"]
            if not comments.writable or self.headers["Authorization"] != f"Bearer {comments.token}":
                return self._answer(403, {"message": "Resource not accessible by integration"})
            if comment is None:
                comment = comments.add(body, BOT)
            else:
                comment["body"] = body
            return self._answer(code, comment)

        def _answer(self, code: int, value: Any) -> None:
            comments.calls.append(f"{self.command} {code}")
            data = json.dumps(value).encode()
            self.send_response(code)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    comments.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield comments
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
