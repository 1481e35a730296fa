"""Prompts are rewritten once, checked, sent to the model, and judged by what the original states."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from sora_eval import registry
from sora_eval.commands.cli import main
from sora_eval.prompting.bundled import expand
from sora_eval.prompting.checker import lost
from sora_eval.types import Profile

SMALL = [
    *("suite.probes=[relation]", "suite.count=2", "suite.modes=[t2v,i2v]", "fidelity=null", "references=[]", "tracking=false"),
    *("players=0", "workers=1"),
]  # fmt: skip
KEY = "sk-0123456789-secret"


def _stored(run):
    return {p.stem: json.loads(p.read_text()) for p in (run / "prompts").glob("*.json")}


def test_the_bundled_expander_loses_nothing():
    profile = Profile("small", 64, 64, 17, 8, 5)
    for name in registry.probe_names():
        for case in registry.probe(name).cases(8, profile, "t2v"):
            text = expand(case.prompt)
            assert case.prompt in text
            assert lost(case.prompt, text) == ()
            assert expand(case.prompt) == text


@pytest.fixture
def rewriter(tmp_path, monkeypatch):
    """A file with functions of a prompt, which count how often they are called."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "words.py").write_text(
        "from pathlib import Path\n"
        "def longer(prompt):\n"
        "    with Path('calls').open('a') as file: file.write('x')\n"
        "    return prompt + ' Soft light.'\n"
        "def swapped(prompt):\n"
        "    return prompt.replace('left', '?').replace('right', 'left').replace('?', 'right')\n"
        "def broken(prompt): raise KeyError('no')\n"
        "def nothing(prompt): return ''\n"
    )
    return tmp_path


def test_a_function_rewrites_each_prompt_once(rewriter):
    words = ["run", "generator=careless", "prompts.expander=words.py:longer", *SMALL, "out=run"]
    assert main(words) == 0
    # Cases of t2v and i2v share their prompts.
    assert (rewriter / "calls").read_text() == "xx"
    assert all(r["rewritten"] == f"{r['prompt']} Soft light." for r in _stored(rewriter / "run").values())
    assert main(words) == 0
    assert (rewriter / "calls").read_text() == "xx"


def test_the_model_gets_what_was_sent_and_the_probe_the_original(rewriter):
    (rewriter / "model.py").write_text(
        "import numpy as np\n"
        "def model(prompt, *, height, width, frames, fps, seed, conditioning):\n"
        "    assert prompt.endswith(' Soft light.'), prompt\n"
        "    return np.full((frames, height, width, 3), 120, np.uint8)\n"
    )
    words = ["generator=callable", "generator.target=model.py:model", "prompts.expander=words.py:longer"]
    assert main(["run", *words, *SMALL, "out=run"]) == 0
    rows = [json.loads(line) for line in (rewriter / "run/scores.jsonl").read_text().splitlines()]
    assert all(r["video"] and not r["prompt"].endswith("Soft light.") for r in rows)


def test_the_model_on_a_device_gets_what_was_sent(rewriter):
    (rewriter / "model.py").write_text(
        "import numpy as np\n"
        "def model(prompt, *, height, width, frames, fps, seed, conditioning, device):\n"
        "    assert device == 'cpu' and prompt.endswith(' Soft light.'), prompt\n"
        "    return np.full((frames, height, width, 3), 120, np.uint8)\n"
    )
    words = ["generator=callable", "generator.target=model.py:model", "prompts.expander=words.py:longer"]
    assert main(["run", *words, *SMALL, "devices=[cpu]", "out=run"]) == 0


@pytest.mark.parametrize(("on_lost", "code", "changed"), [("keep", 1, 4), ("original", 0, 0)])
def test_what_is_lost_is_counted(rewriter, capsys, on_lost, code, changed):
    words = ["generator=oracle", "prompts.expander=words.py:swapped", f"prompts.on_lost={on_lost}"]
    assert main(["run", *words, *SMALL, "out=run"]) == code
    manifest = json.loads((rewriter / "run/manifest.json").read_text())
    assert manifest["prompts"] == {**manifest["prompts"], "on_lost": on_lost, "cases": 4, "changed": changed, "lost": 4}
    assert "4 of 4 prompts lost a statement" in capsys.readouterr().out
    assert any("lost a statement" in p for p in manifest["problems"]) == (on_lost == "keep")
    assert "Prompts that lost a statement" in (rewriter / "run/report.html").read_text()


def test_what_is_lost_may_end_the_run(rewriter, capsys):
    words = ["generator=oracle", "prompts.expander=words.py:swapped", "prompts.on_lost=refuse"]
    assert main(["run", *words, *SMALL, "out=run"]) == 2
    assert "4 of 4 prompts lost a statement" in capsys.readouterr().err
    assert not (rewriter / "run/videos").exists()


@pytest.mark.parametrize(
    "expander",
    ["words.py:broken", "words.py:nothing", "words.py:absent", "absent.py:f", "absent:f", "wrods", "chat", "words.py:"],
)
def test_an_expander_that_fails_is_one_line(rewriter, capsys, expander):
    assert main(["run", "generator=oracle", f"prompts.expander={expander}", *SMALL, "out=run"]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


class _Chat(BaseHTTPRequestHandler):
    requests: list
    faults: list

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.requests.append((self.path, self.headers.get("Authorization"), body))
        fault = self.faults.pop() if self.faults else 0
        text = '<think>hm</think>\n"' + body["messages"][1]["content"] + '\n Soft light."'
        answer = {"choices": [{"message": {"role": "assistant", "content": text}}]} if not fault else {"error": KEY}
        content = json.dumps(answer).encode()
        self.send_response(fault or 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@pytest.fixture
def chat(socket_enabled, monkeypatch, tmp_path):
    handler = type("Handler", (_Chat,), {"requests": [], "faults": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("CHAT_KEY", KEY)
    monkeypatch.chdir(tmp_path)
    handler.words = [
        *("prompts.expander=chat", "prompts.model=writer", "prompts.key_env=CHAT_KEY"),
        f"prompts.url=http://127.0.0.1:{server.server_port}/v1",
    ]
    yield handler
    server.shutdown()
    server.server_close()


def test_a_chat_is_asked_once_and_its_key_is_nowhere(chat, tmp_path, capsys):
    chat.faults += [503]
    words = ["run", "generator=careless", *chat.words, *SMALL, "out=run"]
    assert main(words) == 0
    assert len(chat.requests) == 3
    path, key, body = chat.requests[0]
    assert (path, key, body["model"], body["temperature"]) == ("/v1/chat/completions", f"Bearer {KEY}", "writer", 0.0)
    assert all(r["rewritten"] == f"{r['prompt']} Soft light." for r in _stored(tmp_path / "run").values())
    assert main(words) == 0
    assert len(chat.requests) == 3
    for file in (tmp_path / "run").rglob("*"):
        assert not file.is_file() or KEY.encode() not in file.read_bytes(), file
    printed = capsys.readouterr()
    assert KEY not in printed.out + printed.err


def test_a_chat_that_stops_is_one_line_and_keeps_what_came(chat, tmp_path, capsys):
    chat.faults += [401, 0]
    words = ["run", "generator=careless", *chat.words, "prompts.parallel=1", *SMALL, "out=run"]
    assert main(words) == 2
    error = capsys.readouterr().err
    assert "refuses the key in CHAT_KEY" in error
    assert KEY not in error
    assert len(_stored(tmp_path / "run")) == 2
    assert main(words) == 0
    assert len(chat.requests) == 3


def test_a_run_without_an_expander_records_nothing(tmp_path):
    assert main(["run", "generator=oracle", *SMALL, f"out={tmp_path / 'run'}"]) == 0
    manifest = json.loads((tmp_path / "run/manifest.json").read_text())
    assert "prompts" not in manifest
    assert "prompts" not in manifest["config"]
    assert not (tmp_path / "run/prompts").exists()
