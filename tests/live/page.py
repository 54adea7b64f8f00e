"""The WebUI's page in a real browser."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

from .webui import PATIENCE, Picture, WebUI, until

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
]
WAIT = PATIENCE * 1000
PICK_LINE = """(items, text) => {
    const lines = items.map((item) => item.innerText.replace("✓", "").trim());
    const exact = lines.indexOf(text);
    const index = exact >= 0 ? exact : lines.findIndex((line) => line.startsWith(text));
    items[index]?.dispatchEvent(new MouseEvent("mousedown", {bubbles: true, cancelable: true, composed: true}));
    return [lines, index >= 0];
}"""
"""Find and pick a line in one step: gradio replaces the lines while the list is open, and then shows fewer."""
EVENTS = ("/run/", "/queue/join")
"""Parts of the addresses of gradio's events."""
RELOAD_PATIENCE = 60.0
"""Seconds for a Reload UI."""


@contextmanager
def launch(executable: str | None) -> Iterator[Any]:
    """Chromium, or playwright's own where `executable` is None, that resolves no name but this machine's."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        yield browser
        browser.close()


class LivePage:
    """An open page. `tab` is `txt2img` or `img2img`."""

    def __init__(self, playwright_page: Any, url: str) -> None:
        self.raw = playwright_page
        self.url = url
        self.errors: list[str] = []
        self._picture_before: str | None = None
        from playwright.sync_api import TimeoutError as timeout

        self._timeout = timeout
        self._events: set[Any] = set()
        playwright_page.set_default_timeout(WAIT)
        playwright_page.on("pageerror", self._note)
        playwright_page.on("request", self._begin_event)
        playwright_page.on("requestfinished", self._end_event)
        playwright_page.on("requestfailed", self._end_event)

    @classmethod
    def open(cls, browser: Any, url: str, *, theme: str = "light", width: int = 1280, height: int = 1000) -> LivePage:
        query = urlencode({"__theme": theme})
        context = browser.new_context(viewport={"width": width, "height": height}, locale="en-US")
        page = cls(context.new_page(), f"{url}/?{query}")
        page.load()
        return page

    def load(self) -> None:
        self._events.clear()
        self.raw.goto(self.url, wait_until="domcontentloaded")
        self.wait_until_ready()

    def wait_until_ready(self, seconds: float = PATIENCE) -> None:
        """The interface stands, the extension's part has heard from the server, and the dropdowns have been set."""
        self.raw.wait_for_function(
            "() => [...document.querySelectorAll('#vae_manager_txt2img > .label-wrap > span')]"
            ".some((title) => title.textContent.includes('—'))",
            timeout=seconds * 1000,
        )
        self.rest(1.5)
        self.settle()

    def settle(self) -> None:
        """Wait until no event of gradio is under way: by one of each load Neo sets sampler, steps and guidance."""
        until(self._running_events, lambda events: not events)

    def _begin_event(self, request: Any) -> None:
        if request.method == "POST" and any(part in request.url for part in EVENTS):
            self._events.add(request)

    def _end_event(self, request: Any) -> None:
        self._events.discard(request)

    def _running_events(self) -> list[str]:
        """What is under way after a short rest, in which the page may begin another one."""
        self.rest(0.3)
        return [request.url for request in self._events]

    def close(self) -> None:
        self.raw.context.close()

    def _note(self, error: Any) -> None:
        """Errors of the extension's own script; the WebUI's page has some of its own."""
        if "vae_manager" in str(error.stack):
            self.errors.append(f"{error}\n{error.stack}")

    # The accordion

    def title(self, tab: str = "txt2img") -> str:
        return str(self.raw.inner_text(f"#vae_manager_{tab} > .label-wrap > span >> nth=0"))

    def open_accordion(self, tab: str = "txt2img") -> None:
        if not self.raw.is_visible(f"#vae_manager_{tab}_choice"):
            self.raw.click(f"#vae_manager_{tab} > .label-wrap")
            self.raw.wait_for_selector(f"#vae_manager_{tab}_choice input", state="visible")

    def status(self, tab: str = "txt2img") -> str:
        return str(self.raw.inner_text(f"#vae_manager_{tab} [data-vae-region=status]"))

    def row(self, entry: str, tab: str = "txt2img") -> Any:
        return self.raw.locator(f"#vae_manager_{tab} [data-vae-entry='{entry}']")

    def get_and_use(self, entry: str, tab: str = "txt2img") -> None:
        """Begin or continue the download of an entry, and choose it then."""
        self.row(entry, tab).locator("""[data-vae-do*='"use": true']""").first.click()

    def progress(self, entry: str, tab: str = "txt2img") -> tuple[int, str] | None:
        """Percent and text of the progress bar; None where there is none."""
        bar = self.row(entry, tab).locator("[role=progressbar]")
        seen = bar.evaluate_all("(bars) => bars.map((bar) => [bar.ariaValueNow, bar.parentElement.innerText])")
        return (int(seen[0][0]), str(seen[0][1])) if seen else None

    def chosen(self, tab: str = "txt2img") -> str:
        """What the dropdown shows."""
        return str(self.raw.input_value(f"#vae_manager_{tab}_choice input"))

    def choose(self, text: str, tab: str = "txt2img") -> None:
        """Pick the line of the dropdown that begins with `text`."""
        self.pick_in(f"#vae_manager_{tab}_choice", text)

    def lines(self, selector: str) -> list[str]:
        """The lines of a dropdown."""
        self.raw.click(f"{selector} input")
        lines = self.raw.locator(f"{selector} ul.options li").all_inner_texts()
        self.raw.keyboard.press("Escape")
        return [line.replace("✓", "").strip() for line in lines]

    def pick_in(self, selector: str, text: str) -> None:
        """Pick the line of any of the page's dropdowns that is `text`, else the first that begins with it."""
        end = time.monotonic() + PATIENCE
        while True:
            self.raw.click(f"{selector} input")
            items = self.raw.locator(f"{selector} ul.options li")
            items.first.wait_for(state="visible")
            lines, picked = items.evaluate_all(PICK_LINE, text)
            if picked:
                return
            assert time.monotonic() < end, f"no line begins with {text!r}: {lines}"
            self.raw.locator(f"{selector} input").blur()  # its lines were set anew while it was open
            self.rest(1)

    def apply_to(self, where: str, tab: str = "txt2img") -> None:
        """`EVERYWHERE` or `THIS_TAB`."""
        self.raw.locator(f"#vae_manager_{tab}_scope label:has(input[value={where}])").click()

    # The WebUI's own parts

    def tab(self, name: str) -> None:
        self.raw.locator("#tabs > .tab-nav > button", has_text=name).first.click()

    def settings(self, section: str) -> None:
        """Open a section of the Settings tab."""
        self.tab("Settings")
        self.raw.locator("#settings > .tab-nav > button", has_text=section).first.click()

    def value_of(self, selector: str) -> str:
        return str(self.raw.input_value(f"{selector} input"))

    def reload_ui(self, webui: WebUI, button: Any = None) -> None:
        """*Reload UI*, by the WebUI's own link in the footer or by `button`; waits until the page is back.

        Now and then the WebUI hangs here, with this extension or without: its HTTP server waits for ever for a
        connection of the browser to end. Then it is started again.
        """
        self.raw.evaluate("() => { window.beforeReload = true; }")
        (button or self.raw.locator("a", has_text="Reload UI").last).click()
        try:
            self.raw.wait_for_function("() => window.beforeReload === undefined", timeout=RELOAD_PATIENCE * 1000)
            self.wait_until_ready(RELOAD_PATIENCE)
        except self._timeout:
            if webui.restart_command is None:
                raise
            warnings.warn("Reload UI hung; the WebUI was started again", stacklevel=2)
            webui.restart()
            self.load()

    def prepare(self, tab: str = "txt2img", *, seed: int = 7, steps: int = 2, prompt: str = "a lighthouse") -> None:
        """Set a picture of 64 × 64 in the page, with the guidance of `WebUI.picture`: Neo has another default."""
        self.settle()
        self.raw.fill(f"#{tab}_prompt textarea", prompt)
        self.pick_in(f"#{tab}_sampling", "Euler")
        for name, value in {"width": 64, "height": 64, "steps": steps, "cfg_scale": 7}.items():
            field = self.raw.locator(f"#{tab}_{name} input[type=number]")
            field.fill(str(value))
            field.press("Tab")
        self.raw.fill(f"#{tab}_seed input", str(seed))
        self.raw.press(f"#{tab}_seed input", "Tab")

    def start_picture(self, tab: str = "txt2img") -> None:
        self._picture_before = self._picture_source(tab)
        self.raw.click(f"#{tab}_generate")

    def finish_picture(self, tab: str = "txt2img") -> Picture:
        """Wait for a picture that is not the one from before: each has an address of its own."""
        source = until(lambda: self._picture_source(tab), lambda source: source not in (None, self._picture_before))
        self.rest(0.5)
        text = self.raw.inner_text(f"#html_info_{tab}")
        return Picture.of(self.raw.request.get(source).body(), text)

    def _picture_source(self, tab: str) -> str | None:
        """The address of the newest finished picture; a live preview has none."""
        sources = self.raw.locator(f"#{tab}_gallery img").evaluate_all("(images) => images.map((one) => one.src)")
        return next((source for source in sources if source.startswith("http")), None)

    def generate(self, tab: str = "txt2img") -> Picture:
        self.start_picture(tab)
        return self.finish_picture(tab)

    def wait_for(self, what: str, seconds: float = PATIENCE) -> None:
        """Wait until a JavaScript expression is true."""
        self.raw.wait_for_function(f"() => {what}", timeout=seconds * 1000)

    def rest(self, seconds: float) -> None:
        """Let the page's own timers run."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.raw.wait_for_timeout(50)
