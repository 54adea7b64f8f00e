"""The stand-in of Forge behaves as Forge does: what was measured in the real one, flaws included."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("gradio")

import torch
from safetensors.torch import load_file, save_file

from tests.guards.bad_files import BAD as BAD_FILES
from tests.guards.bad_files import remove
from tests.host.asking import BAD, GOOD, OTHER, Picture, fire, write_vaes
from tests.host.fixtures import WebUI, start_webui
from tests.host.inside import inside, install_inside
from tests.vaes import BASE
from vae_manager.files.layouts import diffusers_name

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.torch

FLAGS = ("--as", "forge", "--no-extension", "--api", "--step-seconds", "0.001")
CLIP_L = "text-encoder.safetensors"
MODULES = "forge_additional_modules"


def make_data(data: Path) -> None:
    write_vaes(data / "models" / "VAE")
    encoders = data / "models" / "text_encoder"
    encoders.mkdir(parents=True)
    save_file({"text_model.encoder.layers.0.layer_norm1.bias": torch.ones(768)}, encoders / CLIP_L)


@pytest.fixture(scope="module")
def forge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebUI]:
    data = tmp_path_factory.mktemp("forge")
    make_data(data)
    install_inside(data)
    with start_webui(data, *FLAGS, forked=False) as started:
        yield started


@pytest.fixture(scope="module")
def base(forge: WebUI) -> Picture:
    """By the checkpoint's own VAE; what is seen before it is in the first test."""
    return Picture(forge)


@pytest.fixture(autouse=True)
def built_in_again(request: pytest.FixtureRequest) -> Iterator[None]:
    """Each test starts from a model that is loaded with nothing but the checkpoint, and a fresh list of modules."""
    yield
    if "forge" in request.fixturenames:
        started: WebUI = request.getfixturevalue("forge")
        refresh(started)
        started.call("/sdapi/v1/options", {MODULES: []})
        inside(started, "from modules.sd_models import model_data\nmodel_data.forge_hash = answer = ''")
        assert Picture(started).status == 200


def vae(forge: WebUI, name: str) -> str:
    return str(forge.data / "models" / "VAE" / name)


def encoder(forge: WebUI) -> str:
    return str(forge.data / "models" / "text_encoder" / CLIP_L)


def choose(forge: WebUI, *modules: str) -> None:
    assert forge.call("/sdapi/v1/options", {MODULES: list(modules)}) == (200, None)


def chosen(forge: WebUI) -> Any:
    return forge.call("/sdapi/v1/options")[1][MODULES]


def refresh(forge: WebUI) -> None:
    inside(forge, "from modules_forge import main_entry\nmain_entry.refresh_models()\nanswer = None")


def modules_of(picture: Picture) -> list[str]:
    assert picture.status == 200, picture.answer
    return [value for key, value in picture.fields.items() if key.startswith("Module ")]


def loads(forge: WebUI) -> int:
    """How many models have been loaded until now."""
    return forge.log.read_text(encoding="utf-8").count("Model loaded in")


def test_there_is_no_model_until_the_first_picture(forge: WebUI) -> None:
    """Must come first."""
    model = "from modules import shared\nanswer = type(shared.sd_model).__name__"
    choose(forge, vae(forge, GOOD))
    assert (inside(forge, model), loads(forge)) == ("FakeInitialModel", 0)
    assert modules_of(Picture(forge)) == ["good"]
    assert (inside(forge, model), loads(forge)) == ("StableDiffusion", 1)


def test_a_change_waits_for_the_next_picture(forge: WebUI, base: Picture) -> None:
    before = loads(forge)
    choose(forge, vae(forge, GOOD))
    assert loads(forge) == before
    good = Picture(forge)
    assert loads(forge) == before + 1
    assert good.pixels != base.pixels
    choose(forge)
    assert Picture(forge).pixels == base.pixels


def test_names_are_enough_and_unknown_ones_are_dropped(forge: WebUI) -> None:
    choose(forge, GOOD, "nowhere.safetensors", CLIP_L)
    assert chosen(forge) == [vae(forge, GOOD), encoder(forge)]
    choose(forge, "nowhere.safetensors")
    assert chosen(forge) == []


def test_a_bare_string_empties_the_list(forge: WebUI) -> None:
    choose(forge, GOOD)
    assert forge.call("/sdapi/v1/options", {MODULES: vae(forge, OTHER)}) == (200, None)
    assert chosen(forge) == []


def test_a_new_file_counts_once_the_list_is_made_anew(forge: WebUI) -> None:
    new = Path(vae(forge, "new.safetensors"))
    save_file(load_file(BASE), new)
    try:
        choose(forge, str(new))
        assert chosen(forge) == []
        refresh(forge)
        choose(forge, str(new))
        assert chosen(forge) == [str(new)]
        names = [module["model_name"] for module in forge.call("/sdapi/v1/sd-modules")[1]]
        assert sorted(names) == [BAD, GOOD, "new.safetensors", OTHER, CLIP_L]
    finally:
        new.unlink()


def test_of_two_vaes_the_last_one_decodes_and_both_are_named(forge: WebUI) -> None:
    choose(forge, GOOD)
    good = Picture(forge)
    choose(forge, OTHER, GOOD)
    both = Picture(forge)
    assert modules_of(both) == ["other", "good"]
    assert both.pixels == good.pixels


def test_a_text_encoder_stays_beside_a_vae(forge: WebUI, base: Picture) -> None:
    choose(forge, CLIP_L)
    read = Picture(forge)
    assert read.pixels != base.pixels
    choose(forge, GOOD, CLIP_L)
    both = Picture(forge)
    assert modules_of(both) == ["good", "text-encoder"]
    assert both.pixels not in (read.pixels, base.pixels)


def test_what_is_known_of_vaes_elsewhere_means_nothing(forge: WebUI, base: Picture) -> None:
    assert forge.call("/sdapi/v1/options", {"sd_vae": GOOD}) == (200, None)
    picture = Picture(forge)
    assert picture.pixels == base.pixels
    assert not {"VAE", "VAE hash"} & picture.fields.keys()
    assert forge.call("/sdapi/v1/sd-vae")[0] == 404
    answers = inside(
        forge,
        f"""
        from modules import sd_models, sd_vae, shared
        answer = [
            sd_vae.load_vae(shared.sd_model, {vae(forge, GOOD)!r}), sd_vae.reload_vae_weights(),
            sd_vae.loaded_vae_file, sd_models.load_model(), sd_models.read_state_dict({vae(forge, GOOD)!r}),
        ]
        """,
    )
    assert answers == [None] * 5
    assert Picture(forge).pixels == base.pixels


def test_cells_of_the_grids_vae_axis_are_identical(forge: WebUI) -> None:
    args = [
        30,
        "",
        ["Automatic", GOOD, OTHER],
        0,
        "",
        [],
        0,
        "",
        [],
        False,
        True,
        False,
        False,
        False,
        False,
        False,
        0,
        False,
    ]
    picture = Picture(forge, script_name="X/Y/Z plot", script_args=args)
    assert picture.status == 200, picture.answer
    assert len(picture.answer["images"]) == 4
    assert len(set(picture.answer["images"][1:])) == 1


def lay(forge: WebUI, name: str, marker: Path) -> Path:
    """One of the bad files, in the folder of VAEs and in the list."""
    bad = next(one for one in BAD_FILES if one.name == name)
    path = Path(vae(forge, name))
    bad.write(Path(vae(forge, GOOD)), path, marker)
    refresh(forge)
    if bad.before_use is not None:
        bad.before_use(path)
    return path


def test_a_wrong_shape_leaves_no_model_and_the_choice_before_broken(forge: WebUI, tmp_path: Path) -> None:
    choose(forge, GOOD)
    good = Picture(forge)
    path = lay(forge, "bad-flux.safetensors", tmp_path)
    try:
        choose(forge, path.name)
        assert Picture(forge).answer["error"] == "RuntimeError"
        choose(forge, GOOD)
        assert [Picture(forge).answer["error"] for _ in range(2)] == ["AttributeError"] * 2
        inside(forge, "from modules.sd_models import model_data\nmodel_data.forge_hash = answer = ''")
        assert Picture(forge).pixels == good.pixels
        assert path.exists()
    finally:
        remove(path)


def test_another_combination_heals(forge: WebUI, tmp_path: Path) -> None:
    choose(forge, GOOD)
    good = Picture(forge)
    path = lay(forge, "bad-flux.safetensors", tmp_path)
    try:
        choose(forge, path.name)
        assert Picture(forge).status == 500
        choose(forge, GOOD)
        assert Picture(forge).status == 500
        choose(forge, OTHER)
        assert Picture(forge).status == 200
        choose(forge, GOOD)
        assert Picture(forge).pixels == good.pixels
    finally:
        remove(path)


@pytest.mark.parametrize("name", ["bad-page.safetensors", "bad-cut.safetensors", "bad-page.ckpt", "bad-cut.ckpt"])
def test_a_file_that_cannot_be_read_is_renamed(forge: WebUI, tmp_path: Path, name: str) -> None:
    path = lay(forge, name, tmp_path)
    content = path.read_bytes()
    corrupted = path.with_name(name + ".corrupted")
    corrupted.write_text("an older one")
    try:
        choose(forge, name)
        failed = Picture(forge)
        assert (failed.status, failed.answer["error"]) == (500, "ValueError")
        assert failed.answer["errors"] == "Failed to recognize model type!"
        assert not path.exists()
        assert corrupted.read_bytes() == content
    finally:
        corrupted.unlink()


def test_a_path_that_is_no_text_is_left_alone_and_so_is_the_origin(forge: WebUI, tmp_path: Path) -> None:
    path = lay(forge, "bad-page.safetensors", tmp_path)
    try:
        told = inside(
            forge,
            f"""
            from pathlib import Path
            from safetensors.torch import load_file, load_file_origin
            answer = []
            for load, path in ((load_file, Path({str(path)!r})), (load_file_origin, {str(path)!r})):
                try:
                    load(path)
                except Exception as error:
                    answer.append(type(error).__name__)
            """,
        )
        assert told == ["ValueError", "SafetensorError"]
        assert path.exists()
    finally:
        path.unlink()


def test_a_hostile_pickle_runs_and_is_named(forge: WebUI, tmp_path: Path) -> None:
    marker = tmp_path / "code-has-run"
    path = lay(forge, "bad-hostile.ckpt", marker)
    try:
        choose(forge, path.name)
        assert modules_of(Picture(forge)) == ["bad-hostile"]
        assert marker.exists()
    finally:
        path.unlink()


def test_what_a_file_lacks_is_whatever_there_was(forge: WebUI) -> None:
    choose(forge, GOOD)
    good = Picture(forge)
    choose(forge, BAD)
    bad = Picture(forge)
    assert modules_of(bad) == ["bad"]
    assert bad.pixels != good.pixels
    assert "IntegratedAutoencoderKL Missing: ['decoder.norm_out.weight']" in forge.log.read_text(encoding="utf-8")


def test_nan_is_a_black_picture(forge: WebUI, tmp_path: Path) -> None:
    path = lay(forge, "bad-nan.safetensors", tmp_path)
    try:
        choose(forge, path.name)
        assert Picture(forge).image.getextrema() == ((0, 0),) * 3
    finally:
        path.unlink()


def as_diffusers(name: str, tensor: torch.Tensor) -> tuple[str, torch.Tensor]:
    new = diffusers_name(name, levels=4)
    assert new is not None
    linear = "attentions" in new and tensor.dim() == 4
    return new, tensor[:, :, 0, 0].contiguous() if linear else tensor


@pytest.mark.parametrize("layout", ["prefixed", "diffusers"])
def test_other_layouts_load(forge: WebUI, layout: str) -> None:
    choose(forge, GOOD)
    good = Picture(forge)
    rename = as_diffusers if layout == "diffusers" else lambda name, tensor: (f"first_stage_model.{name}", tensor)
    tensors = dict(rename(name, tensor) for name, tensor in load_file(vae(forge, GOOD)).items())
    path = Path(vae(forge, f"{layout}.safetensors"))
    save_file(tensors, path)
    refresh(forge)
    try:
        choose(forge, path.name)
        assert Picture(forge).pixels == good.pixels
    finally:
        path.unlink()


def test_an_override_reloads_there_and_back(forge: WebUI, base: Picture) -> None:
    before = loads(forge)
    overridden = Picture(forge, override_settings={MODULES: [vae(forge, GOOD)]})
    assert modules_of(overridden) == ["good"]
    assert chosen(forge) == []
    assert Picture(forge).pixels == base.pixels
    assert loads(forge) == before + 2


def test_an_override_sticks_on_a_fresh_config(tmp_path: Path) -> None:
    make_data(tmp_path)
    (tmp_path / "config.json").write_text('{"samples_save": false}', encoding="utf-8")
    with start_webui(tmp_path, *FLAGS, "--nowebui") as forge:
        Picture(forge, override_settings={MODULES: [vae(forge, GOOD)]})
        assert modules_of(Picture(forge)) == ["good"]
        assert chosen(forge) == [vae(forge, GOOD)]


IN_PLACE = """
import torch
from modules import shared
from safetensors.torch import load_file

objects = (shared.sd_model.forge_objects, shared.sd_model.forge_objects_original)
objects += (shared.sd_model.forge_objects_after_applying_lora,)
vae = shared.sd_model.forge_objects.vae
answer = [len({id(one.vae) for one in objects}), next(vae.first_stage_model.parameters()).is_inference()]
try:
    with torch.%s():
        vae.first_stage_model.load_state_dict(load_file(%r))
    answer.append("loaded")
except RuntimeError as error:
    answer.append(str(error))
"""


def test_weights_can_be_replaced_in_place(forge: WebUI, base: Picture) -> None:
    """In inference_mode alone; a reload discards them."""
    choose(forge, GOOD)
    good = Picture(forge)
    choose(forge)
    Picture(forge)
    shared_objects, inference, told = inside(forge, IN_PLACE % ("no_grad", vae(forge, GOOD)))
    assert (shared_objects, inference) == (1, True)
    assert "Inplace update to inference tensor outside InferenceMode" in told
    assert Picture(forge).pixels == good.pixels  # torch raises once it has written
    inside(forge, "from modules.sd_models import model_data\nmodel_data.forge_hash = answer = ''")
    assert Picture(forge).pixels == base.pixels
    assert inside(forge, IN_PLACE % ("inference_mode", vae(forge, GOOD)))[-1] == "loaded"
    assert Picture(forge).pixels == good.pixels
    choose(forge, CLIP_L)
    Picture(forge)
    choose(forge)
    assert Picture(forge).pixels == base.pixels


def test_the_page_makes_pictures_in_the_main_thread_and_requests_do_not(forge: WebUI) -> None:
    seen = "import inside_package\nanswer = inside_package.processed"
    Picture(forge)
    assert inside(forge, seen) == {"main_thread": False, "inference_mode": False}
    inside(
        forge,
        """
        from types import SimpleNamespace
        from modules import img2img, scripts, txt2img
        args = [script.args_to or 1 for script in scripts.scripts_txt2img.scripts]
        arguments = [0] * max(args)
        request = SimpleNamespace(username=None)
        answer = len(txt2img.txt2img("task(x)", request, "a house", "", 1, 1, 7.0, 64, 64, [], *arguments))
        """,
    )
    assert inside(forge, seen) == {"main_thread": True, "inference_mode": False}


def test_the_main_thread_swallows_what_is_raised(forge: WebUI) -> None:
    told = inside(
        forge,
        """
        from modules_forge import main_thread
        answer = [main_thread.run_and_wait_result(int, "no number"), str(main_thread.last_exception)]
        """,
    )
    assert told == [None, "invalid literal for int() with base 10: 'no number'"]
    assert "Traceback" in forge.log.read_text(encoding="utf-8")


def test_modules_of_an_infotext_become_an_override(forge: WebUI) -> None:
    choose(forge, GOOD, CLIP_L)
    picture = Picture(forge)
    lines = f"""
    from modules import infotext_utils
    params = infotext_utils.parse_generation_parameters({picture.infotext!r})
    text = "VAE/TE: " + str(params.get("VAE/TE"))
    answer = [params.get("VAE/TE"), infotext_utils.create_override_settings_dict([text] if "VAE/TE" in params else [])]
    """
    assert inside(forge, lines) == [None, {}]
    choose(forge)
    names = [GOOD, CLIP_L]
    assert inside(forge, lines) == [names, {MODULES: names}]
    again = Picture(forge, infotext=picture.infotext)
    assert modules_of(again) == []  # disable_weights_auto_swap
    assert forge.call("/sdapi/v1/options", {"disable_weights_auto_swap": False}) == (200, None)
    try:
        again = Picture(forge, infotext=picture.infotext)
        assert (modules_of(again), again.pixels) == (["good", "text-encoder"], picture.pixels)
    finally:
        forge.call("/sdapi/v1/options", {"disable_weights_auto_swap": True})


def test_hires_fix_has_modules_of_its_own(forge: WebUI) -> None:
    hires: dict[str, Any] = {"enable_hr": True, "denoising_strength": 0.5}
    assert Picture(forge, **hires).answer["error"] == "TypeError"  # Forge's own default
    same = Picture(forge, **hires, hr_additional_modules=["Use same choices"])
    assert same.fields["Hires Module 1"] == "Use same choices"
    other = Picture(forge, **hires, hr_additional_modules=[GOOD])
    assert other.fields["Hires Module 1"] == "good"
    assert "Module 1" not in other.fields
    assert other.pixels != same.pixels
    assert chosen(forge) == []


def test_a_refiner_is_loaded_for_what_is_left_to_do(forge: WebUI, base: Picture) -> None:
    refined = Picture(forge, refiner_checkpoint="demo-b", refiner_switch_at=0.5)
    assert refined.status == 200, refined.answer
    assert refined.pixels != base.pixels
    assert Picture(forge).pixels == base.pixels


def test_the_row_above_the_tabs(forge: WebUI) -> None:
    config = forge.call("/config")[1]
    of = {one["props"].get("label"): one["props"] for one in config["components"]}
    assert of["VAE / Text Encoder"]["multiselect"]
    assert of["VAE / Text Encoder"].get("elem_id") is None
    assert {"Checkpoint", "Diffusion in Low Bits"} <= of.keys()
    assert not [one for one in config["components"] if one["props"].get("elem_id") == "setting_sd_vae"]
    assert fire(forge, "forge_ui_preset", "flux", answers=True)[0] == 200
    assert forge.call("/sdapi/v1/options")[1]["forge_preset"] == "flux"


@pytest.mark.browser
def test_a_module_is_chosen_in_the_page(forge: WebUI, browser: Browser) -> None:
    page = browser.new_page()
    try:
        page.goto(forge.url)
        page.wait_for_function("Object.keys(opts).length > 0")
        page.locator("#quicksettings").get_by_label("VAE / Text Encoder").click()
        page.locator("ul.options li", has_text=GOOD).click()
        for name in ("width", "height"):
            page.fill(f"#txt2img_{name} input[type=number]", "64")
        page.fill("#txt2img_prompt textarea", "a house")
        page.click("#txt2img_generate")
        page.wait_for_selector("#html_info_txt2img p")
        assert "Module 1: good" in page.inner_text("#html_info_txt2img")
    finally:
        page.close()
    assert chosen(forge) == [vae(forge, GOOD)]


def test_folders_of_extensions_stay_in_sys_path(forge: WebUI) -> None:
    assert inside(forge, "import sys\nanswer = sys.path")[0].endswith("extensions/inside")


def test_a_choice_is_kept(forge: WebUI) -> None:
    choose(forge, GOOD)
    saved = json.loads((forge.data / "config.json").read_text(encoding="utf-8"))
    assert saved[MODULES] == [vae(forge, GOOD)]
