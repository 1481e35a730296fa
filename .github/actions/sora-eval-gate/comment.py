"""Comment a Markdown file on the pull request that a workflow runs for: one comment per name, updated and not added again.

A token that may not write, as that of a fork's pull request, ends in a warning: the table is on the job's page as well.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

LONGEST = 60_000
"""Characters; GitHub takes 65,536 at the most."""
PER_PAGE = 100


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows no redirection, which would take the token to another host."""

    def redirect_request(self, *_: Any) -> None:
        """Refuse it."""


def call(method: str, path: str, body: dict[str, str] | None = None) -> Any:
    """Return what GitHub answers."""
    request = urllib.request.Request(
        os.environ.get("GITHUB_API_URL", "https://api.github.com") + path,
        None if body is None else json.dumps(body).encode(),
        {
            "Authorization": f"Bearer {os.environ['TOKEN']}",
            "Accept": "application/vnd.github+json",
            "Content-Type": "application/json",
            "X-GitHub-Api-Version": "2022-11-28",
        },
        method=method,
    )
    with urllib.request.build_opener(NoRedirect).open(request, timeout=60) as response:
        return json.load(response)


def own_comment(path: str, mark: str, author: str) -> int | None:
    """Return the id of the comment of an author that begins with a mark, None where there is none."""
    page = 1
    while True:
        comments = call("GET", f"{path}?per_page={PER_PAGE}&page={page}")
        for comment in comments:
            # Anybody may write the mark.
            if str(comment["body"]).startswith(mark) and (comment.get("user") or {}).get("login") == author:
                return int(comment["id"])
        if len(comments) < PER_PAGE:
            return None
        page += 1


def main(file: str) -> int:
    """Write the comment and return 0, whether or not it could be written."""
    event = json.loads(Path(os.environ["GITHUB_EVENT_PATH"]).read_text(encoding="utf-8"))
    number = (event.get("pull_request") or {}).get("number")
    if os.environ["COMMENT"] != "true" or not number:
        print("no comment: " + ("this is no pull request" if not number else "comment is not 'true'"))
        return 0
    mark = f"<!-- sora-eval-gate: {os.environ['NAME'].replace('--', '- -')} -->"
    text = Path(file).read_text(encoding="utf-8")
    if len(text) > LONGEST:
        text = f"{text[:LONGEST]}\n\nCut off here; the whole table is on the job's page."
    repository = os.environ["GITHUB_REPOSITORY"]
    run = f"{os.environ['GITHUB_SERVER_URL']}/{repository}/actions/runs/{os.environ['GITHUB_RUN_ID']}"
    body = {"body": f"{mark}\n{text}\n[Job, with the page as an artifact]({run})"}
    comments = f"/repos/{repository}/issues/{number}/comments"
    try:
        own = own_comment(comments, mark, os.environ["AUTHOR"])
        if own is None:
            call("POST", comments, body)
        else:
            call("PATCH", f"/repos/{repository}/issues/comments/{own}", body)
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = error.reason if isinstance(error, urllib.error.HTTPError) else type(error).__name__
        print(f"::warning::sora-eval gate: the comment could not be written ({' '.join(str(reason).split())})")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
