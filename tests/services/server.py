"""A video service on this machine, with OpenAI's videos API or the form of a queue, that also fails, stalls, truncates and lies."""

from __future__ import annotations

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "sk-0123456789-secret"


class Service:
    """State of the service: jobs by id, how often each request was charged, and the faults that it still commits."""

    def __init__(self, video: bytes, faults: float = 0.0, idempotent: bool = True, kinds: tuple[str, ...] = ()) -> None:
        """Serve one video; `faults` is the share of requests that go wrong, `kinds` which faults there are."""
        self.video, self.idempotent = video, idempotent
        self.faults, self.kinds = (
            faults,
            kinds or ("500", "503", "429", "drop", "html", "truncate", "lie", "fail", "early"),
        )
        self.jobs: dict[str, dict[str, Any]] = {}
        self.by_key: dict[str, str] = {}
        self.charged: Counter[str] = Counter()
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.committed: Counter[str] = Counter()
        self.random, self.lock, self.url = random.Random(1), threading.Lock(), ""

    def fault(self, *kinds: str) -> str:
        """Return the fault that this request suffers, among those that it may, "" for none."""
        with self.lock:
            able = [k for k in kinds if k in self.kinds]
            if not able or self.random.random() >= self.faults:
                return ""
            kind = self.random.choice(able)
            self.committed[kind] += 1
            return kind


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    service: Service

    def log_message(self, *_: Any) -> None:
        pass

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        s = self.service
        s.requests.append(("POST", self.path, dict(self.headers)))
        if self._unauthorised():
            return None
        fault = s.fault("500", "503", "429", "drop", "html")
        if fault in ("503", "429"):
            return self._json(int(fault), {"error": {"message": "busy"}}, {"Retry-After": "0"})
        fields = _fields(self.headers["content-type"], body)
        if "refused" in fields["prompt"]:
            return self._json(400, {"error": {"message": f"prompt refused, {self.headers['Authorization']}"}})
        with s.lock:
            key = self.headers.get("Idempotency-Key", "") if s.idempotent else ""
            job = s.by_key.get(key, "")
            if not job:
                job = f"job-{len(s.jobs)}"
                s.jobs[job] = {"polls": 0, "fields": fields, "fails": False}
                s.by_key[key or job] = job
                s.jobs[job]["fails"] = s.random.random() < s.faults / 2 and "fail" in s.kinds
                if not s.jobs[job]["fails"]:
                    s.charged[fields["prompt"] + str(fields.get("seed", ""))] += 1
        # The job is accepted from here on, whatever the client sees.
        if fault == "drop":
            self.close_connection = True
            return self.connection.close()
        if fault == "500":
            return self._json(500, {"error": "lost the thread"})
        if fault == "html":
            return self._send(200, b"<html>gateway</html>", "text/html")
        return self._json(
            200,
            {
                "id": job,
                "request_id": job,
                "status": "queued",
                "status_url": f"{s.url}/jobs/{job}",
                "response_url": f"{s.url}/results/{job}",
            },
        )

    def do_GET(self) -> None:
        s = self.service
        s.requests.append(("GET", self.path, dict(self.headers)))
        parts = self.path.strip("/").split("/")
        if parts[0] == "files":
            return self._video(s.fault("truncate", "html", "500", "drop"))
        if self._unauthorised():
            return None
        job = next((p for p in parts if p.startswith("job-")), "")
        if job not in s.jobs:
            return self._json(404, {"error": "no such job"})
        if parts[-1] == "content":
            s.jobs[job]["polls"] += 1
            # After a lie about its status the video is not there yet.
            if s.jobs[job]["polls"] <= 2:
                return self._json(404, {"error": "not there yet"})
            return self._video(s.fault("truncate", "html", "500", "drop", "early"))
        if parts[0] == "results":
            return self._json(200, {"video": {"url": f"{s.url}/files/{job}.mp4"}})
        fault = s.fault("500", "503", "drop", "html", "lie")
        if fault in ("500", "503"):
            return self._json(int(fault), {"error": "busy"})
        if fault == "drop":
            self.close_connection = True
            return self.connection.close()
        if fault == "html":
            return self._send(200, b"<html>sign in</html>", "text/html")
        state = s.jobs[job]
        state["polls"] += 1
        if state["fails"]:
            return self._json(200, {"id": job, "status": "failed", "error": {"message": "the worker was lost"}})
        done = state["polls"] > 1 or fault == "lie"
        return self._json(200, {"id": job, "status": "completed" if done else "in_progress"})

    def _video(self, fault: str) -> None:
        video = self.service.video
        if fault == "html":
            return self._send(200, b"<html>expired</html>", "text/html")
        if fault == "500":
            return self._json(500, {"error": "storage"})
        if fault == "early":
            return self._json(404, {"error": "not there yet"})
        if fault == "drop":
            self.close_connection = True
            return self.connection.close()
        self.send_response(200)
        self.send_header("Content-Type", "video/mp4")
        self.send_header("Content-Length", str(len(video)))
        self.end_headers()
        self.wfile.write(video[: len(video) // 2] if fault == "truncate" else video)
        if fault == "truncate":
            self.close_connection = True
        return None

    def _unauthorised(self) -> bool:
        if KEY in self.headers.get("Authorization", ""):
            return False
        self._json(401, {"error": {"message": f"wrong key {self.headers.get('Authorization', '')}"}})
        return True

    def _json(self, status: int, value: Any, headers: dict[str, str] | None = None) -> None:
        self._send(status, json.dumps(value).encode(), "application/json", headers)

    def _send(self, status: int, body: bytes, kind: str, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def _fields(kind: str, body: bytes) -> dict[str, Any]:
    if kind.startswith("application/json"):
        fields = json.loads(body)
        return dict(fields.get("input", fields))
    message = BytesParser(policy=HTTP).parsebytes(f"Content-Type: {kind}\r\n\r\n".encode() + body)
    fields = {}
    for part in message.iter_parts():
        content = part.get_payload(decode=True)
        fields[part.get_param("name", header="content-disposition")] = (
            content if part.get_filename() else content.decode()
        )
    return fields


@contextmanager
def serving(service: Service) -> Iterator[Service]:
    """Run the service on a free port."""
    handler = type("Handler", (_Handler,), {"service": service})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        service.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield service
        finally:
            server.shutdown()
            time.sleep(0)
