"""A small extension for tests: what happens to the loaded models and their VAEs, in which order and thread.

`GET /watch` gives what has happened since it was last asked:

    events     hooks by name; `decode` and `encode` with checkpoint, VAE's name and picture's size; `model_loaded`;
               `pasted` with the VAE that the infotext names. ` beside` where it was not in the thread of the
               generation that was running
    models     the loaded ones, the one in use first
    trashed    checkpoints whose model went to the device "meta"
    patched_twice  what `patches` says of a second patch under one key
    chosen, hash, dtype_vae, loaded_vae_file, has_base_vae
"""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

HOOKS = (
    "before_process",
    "process",
    "before_process_batch",
    "process_batch",
    "process_before_every_sampling",
    "before_hr",
    "post_sample",
    "postprocess_batch",
    "postprocess_batch_list",
    "postprocess_image",
    "postprocess_maskoverlay",
    "postprocess_image_after_composite",
    "postprocess",
)

SCRIPT = dedent("""
    import threading

    import watch_package
    from modules import devices, patches, script_callbacks, scripts, sd_models, sd_vae, shared

    from tests.host.network import FACTOR, Model


    def tell(what):
        elsewhere = shared.state.job and threading.get_ident() != watch_package.thread
        beside = " beside" if elsewhere else ""
        watch_package.events.append(what + beside)


    def in_use(model):
        return f"{model.sd_checkpoint_info.name_for_extra} {sd_vae.get_loaded_vae_name()}"


    def decode_first_stage(self, z):
        tell(f"decode {in_use(self)} {z.shape[3] * FACTOR}x{z.shape[2] * FACTOR}")
        return patches.original(__name__, Model, "decode_first_stage")(self, z)


    def encode_first_stage(self, x):
        tell(f"encode {in_use(self)} {x.shape[3]}x{x.shape[2]}")
        return patches.original(__name__, Model, "encode_first_stage")(self, x)


    for name, replacement in (("decode_first_stage", decode_first_stage), ("encode_first_stage", encode_first_stage)):
        if patches.original(__name__, Model, name) is not None:
            patches.undo(__name__, Model, name)
        patches.patch(__name__, Model, name, replacement)


    try:
        patches.patch(__name__, Model, "decode_first_stage", decode_first_stage)
    except RuntimeError as error:
        PATCHED_TWICE = str(error)


    class Watch(scripts.Script):
        def title(self):
            return "Watch"

        def show(self, is_img2img):
            return scripts.AlwaysVisible

        def ui(self, is_img2img):
            return []

        def before_process(self, p):
            watch_package.thread = threading.get_ident()
            tell("before_process")


    for hook in HOOKS:
        if hook != "before_process":
            setattr(Watch, hook, lambda self, p, *args, hook=hook, **kwargs: tell(hook))


    def model_loaded(model):
        tell(f"model_loaded {in_use(model)}")
        if not any(model is known for known in watch_package.models):
            watch_package.models.append(model)


    def facts():
        events, watch_package.events = watch_package.events, []
        trashed = [model for model in watch_package.models if model.device.type == "meta"]
        watch_package.models[:] = [model for model in watch_package.models if model.device.type != "meta"]
        return {
            "events": events,
            "patched_twice": PATCHED_TWICE,
            "models": [model.sd_checkpoint_info.name_for_extra for model in sd_models.model_data.loaded_sd_models],
            "trashed": [model.sd_checkpoint_info.name_for_extra for model in trashed],
            "chosen": shared.opts.sd_model_checkpoint,
            "hash": shared.opts.sd_checkpoint_hash,
            "dtype_vae": str(devices.dtype_vae),
            "loaded_vae_file": sd_vae.loaded_vae_file,
            "has_base_vae": sd_vae.base_vae is not None,
        }


    script_callbacks.on_model_loaded(model_loaded)
    script_callbacks.on_infotext_pasted(lambda infotext, params: tell(f"pasted {params.get('VAE')}"))
    script_callbacks.on_app_started(lambda demo, app: app.add_api_route("/watch", facts, methods=["GET"]))
""")


def install_watch(data: Path) -> None:
    """Into the data folder's extensions."""
    folder = data / "extensions" / "watch"
    (folder / "scripts").mkdir(parents=True, exist_ok=True)
    (folder / "scripts" / "watch.py").write_text(f"HOOKS = {HOOKS!r}\n{SCRIPT}", encoding="utf-8")
    (folder / "watch_package.py").write_text("events = []\nmodels = []\nthread = None\n", encoding="utf-8")
