"""Verifications, comparisons, rankings and needs for programs, on both generations of gradio and pydantic."""

from __future__ import annotations

import base64
from typing import Any

import pytest
import requests

from tests.admission.conftest import Target
from tests.admission.programs import PATH, ended, get, picture, post, until
from tests.compare.test_pictures import written
from tests.files.engines.small import chroma, t5
from tests.host import gradios
from tests.host.asking import BAD, GOOD, OTHER, Picture
from tests.host.fixtures import WebUI

pytestmark = pytest.mark.torch

PNG = base64.b64encode(written("PNG")).decode()


def texture(number: int) -> str:
    return base64.b64encode(picture(number)).decode()


def begun(webui: WebUI, path: str, **body: Any) -> Any:
    status, answer = post(webui, path, **body)
    assert status == 200, answer
    return answer


def test_a_file_is_verified(webui: WebUI) -> None:
    job = begun(webui, "verify", vae=GOOD)
    assert job["kind"] == "verify"
    done = ended(webui, job["key"])
    assert (done["state"], done["failure"]) == ("done", None)
    [good] = done["verified"]
    assert (good["name"], good["reason"]) == (GOOD, None)
    assert good["outcome"] in ("verified", "unverified")
    assert len(good["sha256"]) == 64
    [listed] = [one for one in get(webui, "vaes") if one["name"] == GOOD]
    assert (listed["verification"], listed["sha256"]) == (good["outcome"], good["sha256"])
    now = begun(webui, "choose", vae=GOOD)
    assert (now["verdict"], now["verification"]) == ("usable", good["outcome"])
    now = begun(webui, "choose", vae="None")
    assert (now["verdict"], now["verification"]) == (None, None)


def test_all_files_are_verified(webui: WebUI) -> None:
    done = ended(webui, begun(webui, "verify")["key"])
    found = {one["name"]: one for one in done["verified"]}
    assert {GOOD, OTHER, BAD} <= found.keys()
    assert found[BAD]["outcome"] == "damaged"
    assert found[BAD]["reason"]["code"]


def test_a_changed_file_is_kept(webui: WebUI) -> None:
    path = webui.data / "models" / "VAE" / OTHER
    begun(webui, "choose", vae="None")
    ended(webui, begun(webui, "verify", vae=OTHER)["key"])
    path.write_bytes((webui.data / "models" / "VAE" / GOOD).read_bytes())
    done = ended(webui, begun(webui, "verify", vae=OTHER, keep=True)["key"])
    assert done["state"] == "done"
    assert [one["name"] for one in done["verified"]] == [OTHER]
    assert post(webui, "verify", keep=True)[0] == 404, "a person names what is kept"


def test_pictures_are_compared(webui: WebUI) -> None:
    job = begun(webui, "compare", vaes=[GOOD, "None"], picture=PNG)
    assert (job["kind"], job["comparison"]) == ("compare", None) or job["state"] == "done"
    done = ended(webui, job["key"])
    assert {one["vae"] for one in done["comparison"]["results"]} == {GOOD, "None"}
    for content in (done["comparison"]["sheet"], done["comparison"]["results"][0]["picture"]):
        assert base64.b64decode(content).startswith(b"\x89PNG")
    assert job["key"] in [one["key"] for one in get(webui, "jobs")]


def test_the_last_picture_is_compared(webui: WebUI) -> None:
    made = Picture(webui)
    done = ended(webui, begun(webui, "compare", vaes=[GOOD], infotext=made.infotext)["key"])
    assert done["comparison"]["reference"]
    assert post(webui, "compare", vaes=[GOOD], infotext="of no picture")[0] == 404
    assert post(webui, "compare", vaes=[])[0] == 400
    assert post(webui, "compare", vaes=[GOOD], picture="!")[0] == 400
    assert post(webui, "compare", vaes=[GOOD], picture=base64.b64encode(b"no picture").decode())[0] == 400


def test_vaes_are_ranked(webui: WebUI) -> None:
    for number in range(3):
        assert begun(webui, "best/pictures", batch="one", name=f"/x/{number}.png", picture=texture(number)) == {
            "count": number + 1
        }
    done = ended(webui, begun(webui, "best", vaes=["None", GOOD], batch="one")["key"])
    assert (done["kind"], done["state"]) == ("best", "done"), done
    assert {row["vae"] for row in done["ranking"]["ranking"]} == {"None", GOOD}
    assert done["ranking"]["pictures"] == 3
    assert base64.b64decode(done["ranking"]["card"]).startswith(b"\x89PNG")


def test_a_ranking_of_nothing_is_refused(webui: WebUI) -> None:
    assert post(webui, "best", vaes=["None", GOOD], batch="gone")[0] == 404
    begun(webui, "best/pictures", batch="two", name="x.png", picture=texture(9))
    assert post(webui, "best", vaes=["None", GOOD], batch="one")[0] == 404, "another batch has replaced it"
    assert post(webui, "best", vaes=["None"], batch="two")[0] == 409
    assert post(webui, "best/pictures", batch="two", name="x.png", picture="!")[0] == 400


def test_the_last_pictures_rank_vaes(webui: WebUI) -> None:
    begun(webui, "choose", vae="None")
    assert Picture(webui).status == 200
    done = ended(webui, begun(webui, "best", vaes=["None", GOOD, OTHER])["key"])
    assert done["state"] in ("done", "failed")  # the stand-in's VAEs may differ too little to be ranked
    assert done["ranking"] is not None or done["failure"]["code"]


def test_jobs_are_cancelled(webui: WebUI) -> None:
    assert post(webui, "jobs/cancel", key="gone")[0] == 404
    keys = [begun(webui, "compare", vaes=[GOOD, OTHER, "None"], picture=texture(n))["key"] for n in range(4)]
    assert begun(webui, "jobs/cancel", key=keys[-1])["state"] in ("stopped", "running", "done")
    states = [ended(webui, key)["state"] for key in keys]
    assert states[:3] == ["done"] * 3
    assert states[3] in ("stopped", "done")
    verification = begun(webui, "verify")["key"]
    begun(webui, "jobs/cancel", key=verification)
    assert ended(webui, verification)["state"] in ("stopped", "done")


@pytest.mark.parametrize("key", ["gone", "%00", "..", "trial-0", "verify%20x", "%ED%A0%80", "999999999999999999999"])
def test_a_job_that_is_not_there(webui: WebUI, key: str) -> None:
    answer = requests.get(f"{webui.url}{PATH}/jobs/{key}", timeout=60)
    assert answer.status_code == 404, answer.text


def test_needs(webui: WebUI) -> None:
    answer = requests.get(f"{webui.url}{PATH}/needs", timeout=60)
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown-engine")
    assert post(webui, "needs/get")[0] == 409


@pytest.mark.skipif(not gradios.IS_4, reason="only Forge's kin run this engine")
def test_needs_of_a_checkpoint_without_components(webui: WebUI) -> None:
    checkpoint = chroma(webui.data / "models" / "Stable-diffusion" / "a-chroma.safetensors")
    encoder = t5(webui.data / "models" / "text_encoder" / "odd.safetensors")
    before = webui.call("/sdapi/v1/options")[1]["sd_model_checkpoint"]
    webui.call("/sdapi/v1/refresh-checkpoints", {})
    webui.call("/sdapi/v1/options", {"sd_model_checkpoint": checkpoint.name})
    try:
        found = until(lambda: (now := get(webui, "needs")) and not now["is_checking"] and now)
        assert (found["host"], found["engine"], found["complete"]) == ("forge", "chroma", False)
        states = {one["role"]: (one["state"], one["files"]) for one in found["components"]}
        assert states["vae"] == ("missing", [])
        assert states["t5xxl"] == ("here", [str(encoder)])
        status, downloads = post(webui, "needs/get", accept=True)
        assert status == 200, downloads
        assert [one["sha256"] is not None for one in downloads] == [True]
        post(webui, "downloads/cancel", key=downloads[0]["key"])
    finally:
        webui.call("/sdapi/v1/options", {"sd_model_checkpoint": before})
        checkpoint.unlink()
        encoder.unlink()
        webui.call("/sdapi/v1/refresh-checkpoints", {})


def test_a_visitor_starts_no_work_on_files(shared: Target) -> None:
    headers = {"Host": "sd.tunnel.example", "X-Forwarded-For": "203.0.113.7"}
    before = shared.state_of_disk()
    for body in ({}, {"vae": GOOD}, {"vae": GOOD, "keep": True}):
        answer = requests.post(f"{shared.webui.url}{PATH}/verify", json=body, headers=headers, timeout=60)
        assert answer.status_code == 409, answer.text
    assert shared.state_of_disk() == before
