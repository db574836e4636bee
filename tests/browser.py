"""A real browser for tests: headless Chromium, driven over its DevTools protocol."""

import asyncio
import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import aiohttp
import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
)
WATCHED = ("Page", "Runtime", "Log", "Network")


def path():
    """The browser's program; the test is skipped where there is none."""
    named = os.environ.get("TRIVIUM_BROWSER")
    found = named or next(filter(None, map(shutil.which, NAMES)), None)
    if not found:
        pytest.skip("no browser here: install chromium, or name one with TRIVIUM_BROWSER")
    return found


class Browser:
    """One window. `wrong` is what the page complained of, `asked` the addresses that it loaded."""

    def __init__(self, folder):
        command = [path(), *FLAGS, f"--user-data-dir={folder}", "about:blank"]
        self._program = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        self._loop = asyncio.new_event_loop()
        self._number = 0
        self.wrong, self.asked = [], []
        self._wait(self._connect(Path(folder)))

    def close(self):
        self._wait(self._session.close())
        self._loop.close()
        self._program.terminate()
        self._program.wait(10)

    def open(self, address, width=1280, height=900):
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.tell("Emulation.setDeviceMetricsOverride", **size)
        self.wrong, self.asked = [], []
        self.tell("Page.navigate", url=address)

    def ask(self, script):
        """What a script comes to, after all that it waits for."""
        told = self.tell(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in told, told
        return told["result"].get("value")

    def until(self, script, seconds=20):
        """Waits until a script is true."""
        end = time.monotonic() + seconds
        while not (found := self.ask(script)):
            assert time.monotonic() < end, f"never true: {script}"
        return found

    def type(self, text):
        self.tell("Input.insertText", text=text)

    def press(self, key):
        for kind in ("keyDown", "keyUp"):
            extra = {"text": key} if kind == "keyDown" and len(key) == 1 else {}
            self.tell("Input.dispatchKeyEvent", type=kind, key=key, **extra)

    def click(self, selector):
        """Presses the mouse in the middle of an element."""
        box = f"document.querySelector({json.dumps(selector)}).getBoundingClientRect()"
        x, y = self.ask(
            f"(() => {{ const b = {box}; return [b.x + b.width/2, b.y + b.height/2] }})()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.tell("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def tell(self, method, **values):
        return self._wait(self._tell(method, values))

    def _wait(self, work):
        return self._loop.run_until_complete(asyncio.wait_for(work, 60))

    async def _connect(self, folder):
        port = folder / "DevToolsActivePort"
        while not (port.is_file() and port.read_text().count("\n")):
            assert self._program.poll() is None, "the browser ended"
            await asyncio.sleep(0.02)
        self._session = aiohttp.ClientSession()
        place = f"http://127.0.0.1:{port.read_text().splitlines()[0]}/json/list"
        async with self._session.get(place) as answer:
            tabs = await answer.json(content_type=None)
        tab = next(tab for tab in tabs if tab["type"] == "page")
        self._socket = await self._session.ws_connect(tab["webSocketDebuggerUrl"], max_msg_size=0)
        for name in WATCHED:
            await self._tell(f"{name}.enable", {})

    async def _tell(self, method, values):
        self._number += 1
        await self._socket.send_json({"id": self._number, "method": method, "params": values})
        while True:
            said = json.loads((await self._socket.receive()).data)
            if said.get("id") == self._number:
                assert "error" not in said, said
                return said["result"]
            self._hear(said.get("method"), said.get("params"))

    def _hear(self, method, params):
        if method == "Network.requestWillBeSent":
            self.asked.append(params["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.wrong.append(params["exceptionDetails"])
        elif method == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.wrong.append(params["entry"])
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning"):
            self.wrong.append(params)
