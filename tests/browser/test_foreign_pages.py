"""Another web page in the same browser: the extension refuses its changes and hides its data from it."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Stage, Stages, stages_in
from tests.browser.test_main_job import ACCORDION, STATUS
from tests.host import gradios
from tests.vaes import TUNED

KEY = "akeyofsomebodyelse0123456789abcd"
OURS = ".vae-manager, [data-vae-region], [id*=vae_manager]"
NAMES = "--host-resolver-rules=MAP *.example 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"


@pytest.fixture(scope="module")
def misled(browser: Browser) -> Iterator[Browser]:
    """Chromium to which each name below .example is this machine, as after DNS rebinding or with a proxy."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    opened = browser.browser_type.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu", NAMES])
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a server with an empty page."""
    folder = tmp_path_factory.mktemp("elsewhere")
    (folder / "index.html").write_text("<!doctype html><title>Elsewhere</title>", encoding="utf-8")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@dataclass
class Victim:
    """A WebUI with a hostile file among the downloads of its owner."""

    stage: Stage
    hostile: Path
    act: int
    """The event that brings messages."""

    def bodies(self) -> list[str]:
        """The messages of a hostile page: a key, a download, the file taken in, and chosen."""
        messages: list[dict[str, Any]] = [
            {"do": "save-key", "key": KEY},
            {"do": "get", "entry": "mine", "use": False, "accept": True},
            {"do": "adopt-file", "path": str(self.hostile), "how": "copy", "folder": "0"},
            {"do": "choose-anyway", "choice": self.hostile.name},
            {"do": "choose", "word": TUNED.name},
        ]
        return [
            json.dumps({"fn_index": self.act, "data": [json.dumps(message)], "session_hash": "s", "request": more})
            for message in messages
            for more in (None, {"headers": {"host": "127.0.0.1"}})
        ]

    def assert_unharmed(self) -> None:
        """Read in the server's own state, after all that it was sent has been answered."""
        assert not (self.stage.data / "vae-manager" / "keys.json").exists()
        assert [path.name for path in self.stage.vaes.iterdir()] == [TUNED.name]
        assert self.stage.option("sd_vae") == "Automatic"
        status, state = self.stage.webui.call("/vae-manager/state")
        assert status == 200
        assert state["jobs"] == {}


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victim]:
    hostile = tmp_path_factory.mktemp("Downloads") / "hostile.pt"
    hostile.write_bytes(TUNED.read_bytes())  # taken in as it is, it would be there
    with stages_in(tmp_path_factory) as start:
        stage = start(vaes=(TUNED,))
        config = stage.webui.call("/config")[1]
        button = next(one["id"] for one in config["components"] if one["props"].get("elem_id") == ACT)
        events = enumerate(config["dependencies"])
        act = next(one.get("id", place) for place, one in events if button in _flat(one["targets"]) and one["inputs"])
        yield Victim(stage, hostile, act)


ACT = "vae_manager_library_act"


def _flat(targets: list[Any]) -> list[Any]:
    return [target[0] if isinstance(target, list) else target for target in targets]


@pytest.fixture(params=["another site", "another port"])
def foreign(request: pytest.FixtureRequest, misled: Browser, elsewhere: int) -> Iterator[Page]:
    name = "evil.example" if request.param == "another site" else "127.0.0.1"
    page = misled.new_page()
    page.goto(f"http://{name}:{elsewhere}/")
    yield page
    page.close()


PATHS = ["/run/predict", "/api/predict", *(["/queue/join", "/call/event"] if gradios.IS_4 else [])]

SEND = """async ([address, body, type]) => {
    const blob = type === null ? new Blob([body]) : new Blob([body], {type});
    for (const mode of ["no-cors", "cors"]) {
        try { await fetch(address, {method: "POST", mode, body: blob, credentials: "include"}); } catch (error) {}
    }
}"""


@pytest.mark.parametrize("type", [None, "text/plain", "application/json"])
def test_a_post_from_a_script(victim: Victim, foreign: Page, type: str | None) -> None:
    for path in PATHS:
        for body in victim.bodies():
            foreign.evaluate(SEND, [victim.stage.webui.url + path, body, type])
    victim.assert_unharmed()


def test_a_form(victim: Victim, foreign: Page) -> None:
    """With the enctype text/plain its only field makes JSON."""
    for body in victim.bodies():
        start = body[:-1] + ', "x": "'
        with foreign.expect_navigation():
            foreign.evaluate(
                """([action, name]) => {
                    const form = document.createElement("form");
                    Object.assign(form, {method: "POST", action, enctype: "text/plain"});
                    const field = document.createElement("input");
                    Object.assign(field, {type: "hidden", name, value: '"}'});
                    form.append(field);
                    document.body.append(form);
                    form.submit();
                }""",
                [victim.stage.webui.url + PATHS[0], start],
            )
        foreign.go_back()
    victim.assert_unharmed()


def test_pictures_scripts_and_frames_get_nothing(victim: Victim, foreign: Page) -> None:
    addresses = [f"{victim.stage.webui.url}/vae-manager/{path}" for path in ("state", "comparison/1/0.png")]
    embed = """([kind, src]) => new Promise((done) => {
        const element = Object.assign(document.createElement(kind), {src});
        element.onload = () => done("loaded");
        element.onerror = () => done("refused");
        document.body.append(element);
    })"""
    for kind in ("img", "script"):
        for address in addresses:
            assert foreign.evaluate(embed, [kind, address]) == "refused"
    read = "async (address) => { try { return await (await fetch(address)).text(); } catch (error) { return null; } }"
    for address in addresses:
        said = foreign.evaluate(read, address)  # gradio 4 lets pages of other ports read its answers
        assert said is None or json.loads(said)["code"] == "foreign-page"


def test_a_foreign_name_that_leads_here(victim: Victim, misled: Browser) -> None:
    """DNS rebinding: to the browser, page and server are of one origin."""
    page = misled.new_page()
    address = f"http://evil.example:{victim.stage.webui.port}"
    page.goto(f"{address}/vae-manager/state")
    answers = page.evaluate(
        """async (bodies) => {
            const answers = [];
            for (const body of bodies) {
                const headers = {"Content-Type": "application/json"};
                const answer = await fetch("/run/predict", {method: "POST", headers, body});
                answers.push(await answer.text());
            }
            const state = await fetch("/vae-manager/state");
            return [state.status, await state.text(), answers];
        }""",
        victim.bodies(),
    )
    page.close()
    assert answers[0] == 403
    assert json.loads(answers[1])["code"] == "unknown-name"
    assert len(answers[2]) == len(victim.bodies())
    victim.assert_unharmed()


@pytest.mark.skipif(gradios.IS_4, reason="the queue is a websocket in gradio 3 alone")
def test_the_websocket_of_the_queue(victim: Victim, foreign: Page) -> None:
    for body in victim.bodies():
        said = foreign.evaluate(
            """([address, body, number]) => new Promise((done) => {
                const socket = new WebSocket(address);
                socket.onclose = socket.onerror = () => done(null);
                socket.onmessage = ({data}) => {
                    const said = JSON.parse(data);
                    if (said.msg === "send_hash") socket.send(JSON.stringify({session_hash: "s", fn_index: number}));
                    if (said.msg === "send_data") socket.send(body);
                    if (said.msg === "process_completed") done(data);
                };
            })""",
            [f"ws://127.0.0.1:{victim.stage.webui.port}/queue/join", body, victim.act],
        )
        assert said is None or "alert" in said or not json.loads(said)["success"]
    victim.assert_unharmed()


# -- a proxy of the owner's ----------------------------------------------------------------------------------------
def open_as(misled: Browser, stage: Stage, name: str) -> Page:
    page = misled.new_page()
    page.set_default_timeout(20_000)
    page.goto(f"http://{name}:{stage.webui.port}", wait_until="domcontentloaded")
    page.wait_for_selector(f"{ACCORDION} [data-vae-region=status] p", state="attached")
    page.click(f"{ACCORDION} > .label-wrap")
    return page


def test_a_refusal_is_told_where_the_state_would_stand_and_at_the_click(victim: Victim, misled: Browser) -> None:
    page = open_as(misled, victim.stage, "sd.example")
    line = "--vae-manager-allowed-hosts sd.example"
    expect(page.locator(f"{STATUS} [role=alert]")).to_contain_text(line)
    page.click(f"{ACCORDION} .vm-refresh")
    expect(page.locator(f"{ACCORDION}_answer [role=alert]")).to_contain_text(line)
    page.close()
    victim.assert_unharmed()


def test_names_that_the_owner_has_added(stages: Stages, misled: Browser) -> None:
    setting = {"vae_manager_allowed_hosts": "https://setting.example/"}
    stage = stages("--vae-manager-allowed-hosts", "flag.example,other.example", config=setting, vaes=(TUNED,))
    for name in ("flag.example", "setting.example"):
        page = open_as(misled, stage, name)
        expect(page.locator(f"{STATUS} .vm-line").first).to_be_visible()
        expect(page.locator(f"{STATUS} [role=alert]")).to_have_count(0)
        page.close()
    page = open_as(misled, stage, "evil.example")
    expect(page.locator(f"{STATUS} [role=alert]")).to_be_visible()
    page.close()


def test_a_stranger_sees_no_path_and_is_told_what_the_owner_does(stages: Stages, misled: Browser) -> None:
    stage = stages("--listen", vaes=(TUNED,))
    page = open_as(misled, stage, "box.example")
    page.click("#tabs > .tab-nav > button:text-is('VAE')")
    page.click(f"#vae_manager_library_page .vm-name:has-text('{TUNED.name}')")
    expect(page.locator("#vae_manager_library_page [data-vae-region=file] dl").first).to_contain_text(TUNED.name)
    ours = page.eval_on_selector_all(OURS, "(all) => all.map((element) => element.outerHTML).join()")
    assert TUNED.name in ours
    assert str(stage.data) not in ours
    assert page.locator("#vae_manager_library_page button:has-text('Verify')").count() == 0
    page.close()
