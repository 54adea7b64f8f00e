"""Every way in which the WebUI puts a VAE into the loaded model, or uses the one that is there, with its flaws."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("gradio")

from safetensors.torch import load_file, save_file

from tests.host.asking import BAD, CARD, GOOD, OTHER, Picture, choose, fire, write_vaes
from tests.host.data import make_data_dir
from tests.host.fixtures import NotStarted, WebUI, start_webui
from tests.host.watch import install_watch
from tests.vaes import BASE

pytestmark = pytest.mark.torch

HUGE = "huge.safetensors"
CHECKPOINT_AXIS, VAE_AXIS = 11, 29
"""The places of "Checkpoint name" and "VAE" among the axes of txt2img, as in the WebUI."""

HIRES = {"enable_hr": True, "hr_scale": 2, "hr_second_pass_steps": 2}


def make_data(data: Path) -> None:
    write_vaes(data / "models" / "VAE")
    make_data_dir(data, ["demo-a", "demo-b", "demo-c"])
    install_watch(data)


@pytest.fixture(scope="module")
def webui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebUI]:
    data = tmp_path_factory.mktemp("ways")
    make_data(data)
    with start_webui(data, "--no-extension", "--api", "--step-seconds", "0.001") as started:
        yield started


@pytest.fixture(autouse=True)
def as_at_the_start(request: pytest.FixtureRequest) -> Iterator[None]:
    """One model, `demo-a`, with the VAE that is in its file: both checkpoints' weights are written into it anew."""
    yield
    if "webui" in request.fixturenames:
        started: WebUI = request.getfixturevalue("webui")
        set_options(started, sd_vae="None", sd_checkpoints_limit=1, save_images_before_highres_fix=False)
        for name in ("demo-c", "demo-b", "demo-a"):
            choose_checkpoint(started, name)
        watch(started)


def set_options(webui: WebUI, **options: Any) -> None:
    assert webui.call("/sdapi/v1/options", options) == (200, None)


def choose_checkpoint(webui: WebUI, name: str) -> None:
    set_options(webui, sd_model_checkpoint=name)


def watch(webui: WebUI) -> dict[str, Any]:
    facts: dict[str, Any] = webui.call("/watch")[1]
    return facts


def vae_events(webui: WebUI) -> list[str]:
    """What was decoded and encoded, and which models came between."""
    return [event for event in watch(webui)["events"] if event.split()[0] in ("decode", "encode", "model_loaded")]


def test_several_models_stay_loaded_up_to_the_limit(webui: WebUI) -> None:
    set_options(webui, sd_checkpoints_limit=2)
    choose_checkpoint(webui, "demo-b")
    assert watch(webui)["models"] == ["demo-b", "demo-a"]
    choose_checkpoint(webui, "demo-a")
    facts = watch(webui)
    assert (facts["models"], facts["events"]) == (["demo-a", "demo-b"], [])
    choose_checkpoint(webui, "demo-c")
    facts = watch(webui)
    assert facts["models"] == ["demo-c", "demo-a"]
    assert facts["events"] == ["model_loaded demo-c None"]
    assert facts["trashed"] == []


def test_a_model_over_the_limit_goes_to_meta(webui: WebUI) -> None:
    set_options(webui, sd_checkpoints_limit=3)
    for name in ("demo-b", "demo-c"):
        choose_checkpoint(webui, name)
    set_options(webui, sd_checkpoints_limit=1)
    choose_checkpoint(webui, "demo-a")
    facts = watch(webui)
    assert facts["models"] == ["demo-a"]
    assert sorted(facts["trashed"]) == ["demo-b", "demo-c"]
    assert Picture(webui).fields["Model"] == "demo-a"


def test_a_model_that_is_used_again_brings_its_vae_and_is_given_the_chosen_one(webui: WebUI) -> None:
    base = Picture(webui)
    choose(webui, GOOD)
    good = Picture(webui)
    set_options(webui, sd_checkpoints_limit=2)
    choose_checkpoint(webui, "demo-b")
    choose(webui, OTHER)
    watch(webui)
    choose_checkpoint(webui, "demo-a")
    assert watch(webui)["events"] == [f"model_loaded demo-a {OTHER}"]
    choose(webui, GOOD)
    assert Picture(webui).pixels == good.pixels
    choose(webui, "None")
    assert Picture(webui).pixels == base.pixels


def test_a_model_left_with_its_own_vae_never_gets_it_back(webui: WebUI) -> None:
    base = Picture(webui)
    set_options(webui, sd_checkpoints_limit=2)
    choose_checkpoint(webui, "demo-b")
    choose_checkpoint(webui, "demo-a")
    choose(webui, GOOD)
    assert not watch(webui)["has_base_vae"]
    good = Picture(webui)
    choose(webui, "None")
    kept = Picture(webui)
    assert "VAE" not in kept.fields
    assert kept.pixels == good.pixels != base.pixels


def test_the_refiner_takes_over_with_its_own_vae_and_the_infotext_does_not_say_so(webui: WebUI) -> None:
    (webui.data / "models" / "Stable-diffusion" / "demo-b.json").write_text(f'{{"vae": "{GOOD}"}}', encoding="utf-8")
    set_options(webui, sd_vae="Automatic")
    refined = {"refiner_checkpoint": "demo-b", "refiner_switch_at": 0.5, "steps": 4}
    try:
        alone = Picture(webui, steps=4)
        watch(webui)
        picture = Picture(webui, **refined)
        assert vae_events(webui) == [f"model_loaded demo-b {GOOD}", f"decode demo-b {GOOD} 64x64"]
        assert picture.fields["Refiner"].startswith("demo-b")
        assert picture.fields["Model"] == "demo-a"
        assert "VAE" not in picture.fields
        assert picture.pixels != alone.pixels
        facts = watch(webui)
        assert facts["models"] == ["demo-b"]
        assert facts["chosen"].startswith("demo-a")
        assert Picture(webui, steps=4).pixels == alone.pixels
        assert Picture(webui, **{**refined, "refiner_switch_at": 1}).pixels == alone.pixels
        assert Picture(webui, refiner_checkpoint="nowhere").status == 500
    finally:
        (webui.data / "models" / "Stable-diffusion" / "demo-b.json").unlink()


def test_skipping_the_config_still_writes_the_hash(webui: WebUI) -> None:
    """The name stays that of the first model; the hash is the refiner's."""
    models = {one["model_name"]: one["sha256"] for one in webui.call("/sdapi/v1/sd-models")[1]}
    Picture(webui, refiner_checkpoint="demo-b", refiner_switch_at=0.1)
    facts = watch(webui)
    assert facts["chosen"].startswith("demo-a")
    assert facts["hash"] == models["demo-b"]


def test_hires_fix_by_latents_decodes_once_at_the_end(webui: WebUI) -> None:
    watch(webui)
    picture = Picture(webui, **HIRES)
    assert picture.image.size == (128, 128)
    assert picture.fields["Hires upscale"] == "2.0"
    events = watch(webui)["events"]
    assert events == [
        "before_process",
        "process",
        "before_process_batch",
        "process_batch",
        "process_before_every_sampling",
        "before_hr",
        "process_before_every_sampling",
        "decode demo-a None 128x128",
        "post_sample",
        "postprocess_batch",
        "postprocess_batch_list",
        "postprocess_image",
        "postprocess_maskoverlay",
        "postprocess_image_after_composite",
        "postprocess",
    ]
    Picture(webui, hr_upscaler="Latent (nearest)", **HIRES)
    assert Picture(webui, hr_upscaler="no such", **HIRES).status == 500


def test_hires_fix_by_pictures_encodes_with_the_second_model(webui: WebUI) -> None:
    choose(webui, GOOD)
    watch(webui)
    picture = Picture(
        webui, hr_upscaler="Lanczos", hr_checkpoint_name="demo-b", hr_resize_x=128, hr_resize_y=64, **HIRES
    )
    assert picture.image.size == (128, 64)
    assert picture.fields["Hires checkpoint"].startswith("demo-b")
    assert vae_events(webui) == [
        f"decode demo-a {GOOD} 64x64",
        f"model_loaded demo-b {GOOD}",
        f"encode demo-b {GOOD} 128x128",
        f"decode demo-b {GOOD} 128x64",
    ]


def test_the_intermediate_picture_is_decoded_by_the_second_model(webui: WebUI) -> None:
    set_options(webui, save_images_before_highres_fix=True)
    watch(webui)
    Picture(webui, hr_checkpoint_name="demo-b", save_images=True, **HIRES)
    assert vae_events(webui) == [
        "model_loaded demo-b None",
        "decode demo-b None 64x64",
        "decode demo-b None 128x128",
    ]
    assert list((webui.data / "outputs").rglob("*-before-highres-fix.png"))


def test_the_refiner_of_hires_fix_is_for_the_second_pass_by_default(webui: WebUI) -> None:
    watch(webui)
    picture = Picture(webui, refiner_checkpoint="demo-b", refiner_switch_at=0.8, **HIRES)
    assert picture.fields["Refiner"].startswith("demo-b")
    events = watch(webui)["events"]
    assert events.index("before_hr") < events.index("model_loaded demo-b None")
    set_options(webui, hires_fix_refiner_pass="first pass")
    picture = Picture(webui, refiner_checkpoint="demo-b", refiner_switch_at=0.8, **HIRES)
    set_options(webui, hires_fix_refiner_pass="second pass")
    assert picture.fields["Hires refiner"] == "first pass"
    events = watch(webui)["events"]
    assert events.index("model_loaded demo-b None") < events.index("before_hr")


def test_img2img_encodes_with_the_vae_in_use(webui: WebUI) -> None:
    start = base64.b64encode(Picture(webui).png).decode()
    choose(webui, GOOD)
    watch(webui)
    picture = Picture(webui, init_images=[start], denoising_strength=0.5)
    assert picture.fields["Denoising strength"] == "0.5"
    assert vae_events(webui) == [f"encode demo-a {GOOD} 64x64", f"decode demo-a {GOOD} 64x64"]


def plot(webui: WebUI, kind: int, values: str, **fields: Any) -> Picture:
    """X/Y/Z plot along one axis, by text, with all pictures."""
    axis = [kind, values, [], 0, "", [], 0, "", []]
    args = [*axis, False, True, True, False, False, False, False, 0, True]
    return Picture(webui, script_name="X/Y/Z plot", script_args=args, **fields)


def test_a_plot_of_vaes_ends_with_the_chosen_one(webui: WebUI) -> None:
    choose(webui, OTHER)
    singles = {}
    for name in ("None", GOOD, OTHER):
        choose(webui, name)
        singles[name] = Picture(webui).png
    watch(webui)
    done = plot(webui, VAE_AXIS, f"{GOOD}, None")
    assert done.status == 200, done.answer
    grid, layer, *cells = (base64.b64decode(one) for one in done.answer["images"])
    assert cells == [singles[GOOD], singles["None"]]
    assert grid and layer
    info = json.loads(done.answer["info"])["infotexts"]
    assert f'X Type: VAE, X Values: "{GOOD}, None"' in info[0]
    assert watch(webui)["loaded_vae_file"].endswith(OTHER)
    assert Picture(webui).png == singles[OTHER]


def test_a_plot_of_checkpoints_ends_with_the_chosen_one(webui: WebUI) -> None:
    """The picture alone would leave the last one loaded."""
    Picture(webui, override_settings={"sd_model_checkpoint": "demo-b"})
    assert watch(webui)["models"] == ["demo-b"]
    done = plot(webui, CHECKPOINT_AXIS, "demo-c, demo-b")
    told = json.loads(done.answer["info"])["infotexts"][2:]
    assert ["Model: demo-c" in told[0], "Model: demo-b" in told[1]] == [True, True]
    assert watch(webui)["models"] == ["demo-a"]


def test_a_plot_takes_an_unknown_name_for_automatic_and_swallows_errors(webui: WebUI) -> None:
    base = Picture(webui).png
    done = plot(webui, VAE_AXIS, f"nowhere, {BAD}")
    *_, first, second = (base64.b64decode(one) for one in done.answer["images"])
    assert first == base
    assert second != base
    assert "VAE" not in json.loads(done.answer["info"])["infotexts"][-1]


def test_a_plot_whose_first_picture_fails_fails(webui: WebUI) -> None:
    assert plot(webui, VAE_AXIS, f"{BAD}, None").answer["error"] == "TypeError"


def test_a_plot_refuses_what_is_not_imitated(webui: WebUI) -> None:
    assert plot(webui, VAE_AXIS + 1, "x").answer["error"] == "NotImplementedError"


def test_the_card_writes_its_file_and_swaps_in_another_event(webui: WebUI) -> None:
    card = webui.data / "models" / "Stable-diffusion" / "demo-a.json"
    set_options(webui, sd_vae="Automatic")
    try:
        assert fire(webui, CARD, "demo-a", "", "", GOOD)[0] == 200
        assert json.loads(card.read_text(encoding="utf-8"))["vae"] == GOOD
        assert "VAE" not in Picture(webui).fields
        assert fire(webui, CARD, "demo-b")[0] == 200
        assert "VAE" not in Picture(webui).fields
        assert fire(webui, CARD, "demo-a")[0] == 200
        assert Picture(webui).fields["VAE"] == GOOD
    finally:
        fire(webui, CARD, "demo-a", "", "", "Automatic")
        card.unlink()


class Running:
    """A generation in a thread, with a task's id; `steps` of a millisecond at least."""

    def __init__(self, webui: WebUI, task: str, steps: int, **fields: Any) -> None:
        self.webui, self.task = webui, task
        self.picture: Picture | None = None
        asked = {"steps": steps, "force_task_id": task, **fields}
        self.thread = threading.Thread(target=lambda: self._generate(asked))
        self.thread.start()
        end = time.monotonic() + 30
        while self.progress()["textinfo"] == "Waiting..." and time.monotonic() < end:
            time.sleep(0.01)

    def _generate(self, asked: dict[str, Any]) -> None:
        self.picture = Picture(self.webui, **asked)

    def progress(self) -> dict[str, Any]:
        answer: dict[str, Any] = self.webui.call("/internal/progress", {"id_task": self.task})[1]
        return answer

    def finish(self) -> Picture:
        self.webui.call("/sdapi/v1/interrupt", {})
        self.thread.join(60)
        assert self.picture is not None
        return self.picture


def test_the_card_swaps_without_the_queue_lock(webui: WebUI) -> None:
    card = webui.data / "models" / "Stable-diffusion" / "demo-a.json"
    set_options(webui, sd_vae="Automatic")
    card.write_text(f'{{"vae": "{GOOD}"}}', encoding="utf-8")
    watch(webui)
    running = Running(webui, "task(card)", 5000)
    try:
        assert fire(webui, CARD, "demo-a")[0] == 200
        assert running.progress()["active"]
    finally:
        picture = running.finish()
        card.unlink()
    assert "VAE" not in picture.fields
    events = vae_events(webui)
    assert events[0] == f"model_loaded demo-a {GOOD} beside"
    assert events[-1] == f"decode demo-a {GOOD} 64x64"


def test_a_full_preview_is_decoded_beside_the_generation(webui: WebUI) -> None:
    set_options(webui, show_progress_type="Full", show_progress_every_n_steps=1)
    choose(webui, GOOD)
    watch(webui)
    running = Running(webui, "task(full)", 5000)
    shown: list[dict[str, Any]] = []
    try:
        for _ in range(200):
            answer = running.progress()
            if answer["live_preview"]:
                shown.append(answer)
                break
    finally:
        running.finish()
        set_options(webui, show_progress_type="Approx NN", show_progress_every_n_steps=10)
    assert shown[0]["live_preview"].startswith("data:image/png;base64,")
    assert shown[0]["id_live_preview"] >= 1
    events = vae_events(webui)
    assert f"decode demo-a {GOOD} 64x64 beside" in events
    assert events[-1] == f"decode demo-a {GOOD} 64x64"


def test_previews_are_made_in_the_generation_itself_under_medvram(tmp_path: Path) -> None:
    """And never by the VAE, unless that was allowed."""
    make_data(tmp_path)
    flags = ("--no-extension", "--nowebui", "--api", "--medvram", "--step-seconds", "0.001")
    with start_webui(tmp_path, *flags) as webui:
        set_options(webui, show_progress_type="Full", show_progress_every_n_steps=1)
        Picture(webui)
        assert vae_events(webui).count("decode demo-a None 64x64") == 1
        set_options(webui, live_preview_allow_lowvram_full=True)
        Picture(webui)
        assert vae_events(webui) == ["decode demo-a None 64x64"] * 3


def test_a_function_is_patched_once_under_one_key(webui: WebUI) -> None:
    assert watch(webui)["patched_twice"] == "patch for decode_first_stage is already applied"


def test_an_infotext_is_told_when_it_is_pasted_or_read(webui: WebUI) -> None:
    choose(webui, GOOD)
    picture = Picture(webui)
    watch(webui)
    assert fire(webui, "txt2img_prompt", picture.infotext, answers=True)[0] == 200
    webui.call("/sdapi/v1/png-info", {"image": base64.b64encode(picture.png).decode()})
    assert [event for event in watch(webui)["events"] if "pasted" in event] == [f"pasted {GOOD}"] * 2


def test_an_infotext_in_a_request_overrides_the_vae(webui: WebUI) -> None:
    choose(webui, GOOD)
    good = Picture(webui)
    choose(webui, "None")
    again = Picture(webui, infotext=good.infotext)
    assert (again.fields["VAE"], again.pixels) == (GOOD, good.pixels)
    assert "VAE" not in Picture(webui, infotext=good.infotext, override_settings={"sd_vae": "None"}).fields


def write_huge(folder: Path) -> None:
    """Its numbers fit into float16; what it makes of them does not."""
    tensors = load_file(BASE)
    tensors["decoder.conv_in.weight"] = tensors["decoder.conv_in.weight"].sign() * 60_000
    save_file(tensors, folder / HUGE)


def test_a_vae_of_nans_changes_the_type_of_all_vaes(tmp_path: Path) -> None:
    make_data(tmp_path)
    write_huge(tmp_path / "models" / "VAE")
    with start_webui(tmp_path, "--no-extension", "--nowebui", "--api", "--half", "--step-seconds", "0.001") as webui:
        assert watch(webui)["dtype_vae"] == "torch.float16"
        half = Picture(webui)
        set_options(webui, sd_vae=HUGE, auto_vae_precision=False)
        assert Picture(webui).answer["error"] == "NansException"
        assert watch(webui)["dtype_vae"] == "torch.float16"
        set_options(webui, auto_vae_precision=True)
        assert Picture(webui).status == 200
        assert vae_events(webui) == [f"decode demo-a {HUGE} 64x64"] * 2
        choose(webui, "None")
        assert watch(webui)["dtype_vae"] == "torch.float32"
        assert Picture(webui).pixels != half.pixels
        set_options(webui, auto_vae_precision_bfloat16=True, sd_vae=HUGE)
        assert Picture(webui).status == 200
        assert watch(webui)["dtype_vae"] == "torch.float32"


def test_flags_say_the_type_of_the_vae(tmp_path: Path) -> None:
    make_data(tmp_path)
    flags = ("--no-extension", "--nowebui", "--api", "--half", "--step-seconds", "0.001")
    with start_webui(tmp_path, *flags, "--no-half-vae") as webui:
        Picture(webui)
        assert watch(webui)["dtype_vae"] == "torch.float32"
    with pytest.raises(NotStarted, match="conflict with --precision half"):
        start_webui(tmp_path, *flags, "--no-half-vae", "--precision", "half")
