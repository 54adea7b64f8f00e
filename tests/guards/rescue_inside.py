"""A small extension for tests: plants faults into the VAE of a running WebUI, and decodes independently of it.

`POST /rescue/plant {"fault": WHAT}`, in the VAE that is in the model, undone by the next one:

    overflow     a layer that overflows in 16 bits, in which the VAE runs then; its weights are finite
    nan-weight   one weight is NaN
    black        every pixel of each picture is the same
    latent       the last numbers of the last latent are NaN
    first        so are those of the first latent, and no others
    memory       the first decode raises for want of memory
    no-memory    each decode of more than 16 pixels of the latent does
    batch        so does each decode of more than one picture
    own          the extension's own look at a picture fails
    none         nothing

`POST /rescue/expected {"file": PATH}`: the pixels of the last decoded latents, by that file, or by the planted weights,
in 32 bits by a network of its own.
`GET /rescue/state`: what has to be the same before and after a picture.
"""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

SCRIPT = dedent("""
    import base64
    import hashlib

    import torch
    from modules import devices, processing, script_callbacks, shared

    from tests.vaes import BASE, autoencoder
    from tests.vaes.autoencoder import SCALE

    planted = {"undo": [], "latents": None, "poison": False, "decodes": []}


    def wrapper():
        return getattr(getattr(shared.sd_model, "forge_objects", None), "vae", None)


    def module():
        return (wrapper() or shared.sd_model).first_stage_model


    def undo():
        while planted["undo"]:
            planted["undo"].pop()()
        planted["poison"] = False


    def watch():
        inner = processing.decode_latent_batch
        if getattr(inner, "is_watch", False):
            return

        def decode_latent_batch(model, batch, *args, **kwargs):
            if planted["poison"]:
                batch = batch.clone()
                batch[0 if planted["poison"] == "first" else -1, :, -1, -1] = float("nan")
            planted["latents"] = batch.detach().to("cpu", copy=True).float()
            return inner(model, batch, *args, **kwargs)

        decode_latent_batch.is_watch = True
        processing.decode_latent_batch = decode_latent_batch


    def write(changes, dtype=None):
        tensors = dict(module().named_parameters())
        before = {name: tensor.data for name, tensor in tensors.items()}
        for name, tensor in tensors.items():
            data = tensor.data.clone()
            if name in changes:
                changes[name](data)
            tensor.data = data.to(dtype or data.dtype)

        def put_back():
            with torch.inference_mode(next(iter(before.values())).is_inference()):
                for name, data in before.items():
                    tensors[name].data = data

        planted["undo"].append(put_back)


    def set_dtype(holder, name, dtype):
        before = getattr(holder, name)
        setattr(holder, name, dtype)
        planted["undo"].append(lambda: setattr(holder, name, before))


    def break_own():
        from vae_manager.webui.hosts.common import rescuing

        def faults(pictures):
            raise LookupError("planted")

        before, rescuing.faults = rescuing.faults, faults
        planted["undo"].append(lambda: setattr(rescuing, "faults", before))


    def forget_precision():
        # else the next VAE gets the planted one back
        from vae_manager.webui.hosts.a1111.adapter import the_host

        the_host().precision._before = None


    def scarce(refuses):
        model = shared.sd_model
        decode = model.decode_first_stage

        def decode_first_stage(z):
            planted["decodes"].append(list(z.shape))
            if refuses(z, len(planted["decodes"])):
                raise torch.cuda.OutOfMemoryError("CUDA out of memory.")
            return decode(z)

        planted["decodes"] = []
        model.decode_first_stage = decode_first_stage
        planted["undo"].append(lambda: delattr(model, "decode_first_stage"))


    def loud(data):
        data.mul_(30000 / data.abs().max())


    def dark(data):
        data.fill_(-1)


    def nan(data):
        data.view(-1)[5] = float("nan")


    def plant(body: dict):
        undo()
        watch()
        what = body["fault"]
        with torch.inference_mode(next(module().parameters()).is_inference()):
            if what == "overflow":
                write({"decoder.conv_in.weight": loud}, torch.float16)
                if wrapper() is not None:
                    set_dtype(wrapper(), "vae_dtype", torch.float16)
                else:
                    set_dtype(devices, "dtype_vae", torch.float16)
                    planted["undo"].append(forget_precision)
            if what == "nan-weight":
                write({"decoder.conv_in.weight": nan})
            if what == "black":
                write({"decoder.conv_out.weight": torch.Tensor.zero_, "decoder.conv_out.bias": dark})
        if what in ("latent", "first"):
            planted["poison"] = what
        if what == "own":
            break_own()
        if what == "memory":
            scarce(lambda z, count: count == 1)
        if what == "no-memory":
            scarce(lambda z, count: max(z.shape[2:]) > 16)
        if what == "batch":
            scarce(lambda z, count: len(z) > 1)
        return state()


    def expected(body: dict):
        vae = autoencoder.load(BASE)
        tensors = autoencoder.load_file(body["file"]) if body.get("file") else module().state_dict()
        vae.load_state_dict({name: tensor.detach().clone().float() for name, tensor in tensors.items()})
        with torch.no_grad():
            made = vae.decode_raw(planted["latents"] / SCALE).float()
        unit = torch.clamp((made + 1.0) / 2.0, min=0.0, max=1.0)
        pixels = (255.0 * unit.permute(0, 2, 3, 1).numpy()).astype("uint8")
        return {"pixels": [base64.b64encode(one.tobytes()).decode() for one in pixels]}


    def state():
        tensors = [tensor.detach().contiguous().cpu() for tensor in module().state_dict().values()]
        digest = hashlib.sha256()
        for tensor in tensors:
            digest.update(tensor.flatten().view(torch.uint8).numpy().tobytes())
        return {
            "weights": digest.hexdigest(),
            "dtypes": sorted({str(tensor.dtype) for tensor in tensors}),
            "wrapper": str(getattr(wrapper(), "vae_dtype", None)),
            "dtype_vae": str(devices.dtype_vae),
            "patched": "decode_first_stage" in vars(shared.sd_model),
        }


    def decodes():
        return planted["decodes"]


    def add_routes(demo, app):
        app.add_api_route("/rescue/plant", plant, methods=["POST"])
        app.add_api_route("/rescue/expected", expected, methods=["POST"])
        app.add_api_route("/rescue/state", state, methods=["GET"])
        app.add_api_route("/rescue/decodes", decodes, methods=["GET"])


    script_callbacks.on_app_started(add_routes)
""")


def install_rescue(data: Path) -> None:
    """Into the data folder's extensions."""
    folder = data / "extensions" / "rescue" / "scripts"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "rescue_inside.py").write_text(SCRIPT, encoding="utf-8")
