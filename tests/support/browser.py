"""Chromium, told what to do over its debugging pipe: the Chrome DevTools Protocol."""

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

_OPTIONS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
    "--disable-background-networking", "--disable-extensions", "--remote-debugging-pipe",
)  # fmt: skip


class Browser:
    """One page of a browser; use as a context."""

    def __init__(self, profile: Path) -> None:
        requests, self._requests = os.pipe()
        self._answers, answers = os.pipe()
        # The protocol's pipes are the descriptors 3 and 4.
        start = f'exec chromium "$@" 3<&{requests} 4>&{answers}'
        self._process = subprocess.Popen(
            ["bash", "-c", start, "-", *_OPTIONS, f"--user-data-dir={profile}", "about:blank"],
            pass_fds=(requests, answers),
            stderr=subprocess.DEVNULL,
        )
        os.close(requests)
        os.close(answers)
        self._count = 0
        self._received = b""
        self._session: str | None = None
        self._complaints: list[str] = []
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        attached = self._call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        self._call("Log.enable")
        self._call("Runtime.enable")

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(timeout=20)
        os.close(self._requests)
        os.close(self._answers)

    def open(self, address: str) -> None:
        """Goes to an address and waits for its page."""
        self._call("Page.navigate", url=address)
        self._wait(f"location.href === {json.dumps(address)} && document.readyState === 'complete'")

    def text(self, selector: str) -> str:
        """What is shown of the first element that fits."""
        return self._evaluate(f"document.querySelector({json.dumps(selector)}).innerText")

    def type(self, selector: str, text: str) -> None:
        """Types into a field."""
        self._evaluate(f"document.querySelector({json.dumps(selector)}).focus()")
        self._call("Input.insertText", text=text)

    def press(self, selector: str) -> None:
        """Clicks with the mouse, and waits for the page that follows."""
        middle = self._evaluate(
            f"(() => {{ const button = document.querySelector({json.dumps(selector)});"
            "button.scrollIntoView({block: 'center'}); window.isOld = true;"
            "const box = button.getBoundingClientRect();"
            "return [box.x + box.width / 2, box.y + box.height / 2]; })()"
        )
        for event in ("mousePressed", "mouseReleased"):
            self._call(
                "Input.dispatchMouseEvent",
                type=event, x=middle[0], y=middle[1], button="left", clickCount=1,
            )  # fmt: skip
        self._wait("!window.isOld && document.readyState === 'complete'")

    def complaints(self) -> list[str]:
        """What the browser's console has said: errors, blocked scripts and styles."""
        self._evaluate("1")
        return self._complaints

    def _wait(self, condition: str, seconds: float = 30.0) -> None:
        deadline = time.monotonic() + seconds
        while not self._evaluate(condition):
            if time.monotonic() > deadline:
                raise TimeoutError(condition)
            time.sleep(0.02)

    def _evaluate(self, expression: str) -> Any:
        answer = self._call("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{expression}: {answer['exceptionDetails']}")
        return answer.get("result", {}).get("value")

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._count += 1
        message = {"id": self._count, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._requests, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("method") == "Log.entryAdded":
                self._complaints.append(answer["params"]["entry"]["text"])
            if answer.get("id") == self._count:
                return answer.get("result", {})  # none while one page gives way to the next

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._received:
            part = os.read(self._answers, 65536)
            if not part:
                raise RuntimeError("the browser has ended")
            self._received += part
        message, _, self._received = self._received.partition(b"\0")
        return json.loads(message)
