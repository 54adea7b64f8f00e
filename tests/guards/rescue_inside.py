"""A small extension for tests: plants faults into the VAE of a running WebUI, and keeps what it decodes.

`POST /rescue/plant {"fault": WHAT}`, in the VAE that is in the model, undone by the next one:

    overflow     a layer that overflows in fp16, in which the VAE runs then; its weights are finite. Where the CPU has
                 no fp16, or computes it far slower than fp32, the VAE runs in bf16, and this layer gives infinity
                 beyond the range of fp16
    nan-weight   one weight is NaN
    black        every pixel of each picture is the same
    latent       the last numbers of the last latent are NaN
    first        so are those of the first latent, and no others
    meant        each picture is nearly black by any VAE, and wholly by the one in the model
    part         a corner of the first picture of each decode is NaN
    once         so is that of the first picture that is decoded
    middle       so is each corner, and each decode after the host's own raises an error of no kind that is known
    memory       the first decode raises for want of memory
    no-memory    each decode of more than 16 pixels of the latent does
    batch        so does each decode of more than one picture
    own          the extension's own look at a picture fails
    none         nothing

`POST /rescue/keep {"file": PATH}`: writes the last decoded latents and the weights in the model, both in 32 bits, for
an independent decode.
`GET /rescue/state`: what has to be the same before and after a picture.
`GET /rescue/times`: seconds, and seconds of the thread's CPU, of each final decode since the last question.
"""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

SCRIPT = dedent("""
    import hashlib
    import time

    import torch
    from modules import devices, processing, script_callbacks, shared

    planted = {"undo": [], "latents": None, "poison": False, "decodes": [], "times": []}


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
            began = time.perf_counter(), time.thread_time()
            made = inner(model, batch, *args, **kwargs)
            planted["times"].append([time.perf_counter() - began[0], time.thread_time() - began[1]])
            return made

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


    def put_back_in(holder, name, value, own):
        # `own`: the object itself had it, as reForge's model, and not its class alone
        if own:
            setattr(holder, name, value)
        else:
            delattr(holder, name)


    def scarce(refuses):
        model = shared.sd_model
        decode, own = model.decode_first_stage, "decode_first_stage" in vars(model)

        def decode_first_stage(z):
            planted["decodes"].append(list(z.shape))
            if refuses(z, len(planted["decodes"])):
                raise torch.cuda.OutOfMemoryError("CUDA out of memory.")
            return decode(z)

        planted["decodes"] = []
        model.decode_first_stage = decode_first_stage
        planted["undo"].append(lambda: put_back_in(model, "decode_first_stage", decode, own))


    def loud(data):
        data.mul_(30000 / data.abs().max())


    def dark(data):
        data.fill_(-1)


    def darker(data):
        data.sub_(100)


    def nan(data):
        data.view(-1)[5] = float("nan")


    def hooked(change):
        planted["undo"].append(module().decoder.register_forward_hook(change).remove)


    def corner(picture):
        picture = picture.clone()
        picture[:1, :, -5:, -5:] = float("nan")
        return picture


    def narrow():
        try:
            is_slow = cost(torch.float16) > 8 * cost(torch.float32)
        except RuntimeError:
            is_slow = True
        return torch.bfloat16 if is_slow else torch.float16


    def cost(dtype):
        # seconds of the thread: without instructions for fp16 a picture of 64 x 64 takes minutes
        given, weight = (torch.ones(*shape, dtype=dtype) for shape in ((1, 128, 32, 32), (128, 128, 3, 3)))
        torch.nn.functional.conv2d(given, weight)
        began = time.thread_time()
        torch.nn.functional.conv2d(given, weight)
        return time.thread_time() - began


    def as_in_fp16(layer, taken, given):
        if given.dtype is not torch.float32:
            given = given.masked_fill(given.abs() > torch.finfo(torch.float16).max, float("inf"))
        return given


    def keep_dtype(dtype):
        # A1111 casts latents to the dtype that the last `to` has left in its module, and calls it in each encode
        vae, before = module(), getattr(module(), "dtype", torch.float32)
        vae.to(dtype)
        planted["undo"].append(lambda: vae.to(before))


    def run_in(dtype):
        write({"decoder.conv_in.weight": loud}, dtype)
        planted["undo"].append(module().decoder.conv_in.register_forward_hook(as_in_fp16).remove)
        if wrapper() is not None:
            set_dtype(wrapper(), "vae_dtype", dtype)
        else:
            set_dtype(devices, "dtype_vae", dtype)
            planted["undo"].append(forget_precision)
            keep_dtype(dtype)


    def plant(body: dict):
        undo()
        watch()
        what = body["fault"]
        with torch.inference_mode(next(module().parameters()).is_inference()):
            if what == "overflow":
                run_in(narrow())
            if what == "nan-weight":
                write({"decoder.conv_in.weight": nan})
            if what == "black":
                write({"decoder.conv_out.weight": torch.Tensor.zero_, "decoder.conv_out.bias": dark})
            if what == "meant":
                write({"decoder.conv_out.bias": darker})
                hooked(lambda layer, taken, given: given * 0.02 - 0.985)
        if what == "part":
            hooked(lambda layer, taken, given: corner(given))
        if what == "once":
            count = []
            hooked(lambda layer, taken, given: count.append(1) or (corner(given) if len(count) == 1 else given))
        if what == "middle":
            count = []

            def breaks(layer, taken, given):
                count.append(1)
                if len(count) > 1:
                    raise LookupError("planted")
                return corner(given)

            hooked(breaks)
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


    def keep(body: dict):
        weights = {name: tensor.detach().clone().float().cpu() for name, tensor in module().state_dict().items()}
        torch.save({"latents": planted["latents"].clone(), "weights": weights}, body["file"])
        return {}


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


    def times():
        given, planted["times"] = planted["times"], []
        return given


    def add_routes(demo, app):
        app.add_api_route("/rescue/plant", plant, methods=["POST"])
        app.add_api_route("/rescue/keep", keep, methods=["POST"])
        app.add_api_route("/rescue/state", state, methods=["GET"])
        app.add_api_route("/rescue/times", times, methods=["GET"])
        app.add_api_route("/rescue/decodes", decodes, methods=["GET"])


    script_callbacks.on_app_started(add_routes)
""")


def install_rescue(data: Path) -> None:
    """Into the data folder's extensions."""
    folder = data / "extensions" / "rescue" / "scripts"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "rescue_inside.py").write_text(SCRIPT, encoding="utf-8")
