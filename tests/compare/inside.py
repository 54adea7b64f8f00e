"""A small extension for tests: runs comparisons inside the process of a WebUI, with what may go wrong injected.

`POST /comparison {"vaes": […], "inject": WHAT, "times": N}`: compares the newest kept picture. WHAT is `cancel`
(stopped while the second decodes), `fail` (the second decode raises), `memory` (nothing larger than 32 pixels of the
latent fits), `none`.
`GET /held`: bytes and numbers of what is kept, and of the process.
"""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

SCRIPT = dedent("""
    import time

    import psutil
    import torch
    from modules import script_callbacks, sd_hijack, sd_models


    def injected(model, what):
        decode, calls = model.decode_first_stage, []

        def decoding(z):
            calls.append(z.shape)
            if what == "fail" and len(calls) == 2:
                raise RuntimeError("no kernel")
            if what == "cancel" and len(calls) == 2:
                time.sleep(0.5)  # it is stopped meanwhile
            if what == "memory" and max(z.shape[2:]) > 32:
                raise torch.cuda.OutOfMemoryError("CUDA out of memory.")
            return decode(z)

        model.decode_first_stage = decoding
        return lambda: delattr(model, "decode_first_stage")


    def compare(body: dict):
        from vae_manager.errors import VaeManagerError
        from vae_manager.webui.comparison_job import begin
        from vae_manager.webui.hosts.a1111.adapter import the_host
        from vae_manager.webui.hosts.host import ComparisonRequest
        from vae_manager.service import the_service

        service, what = the_service(the_host().data_folder), body.get("inject", "none")
        put_back = injected(sd_models.model_data.sd_model, what)
        circular = sd_hijack.model_hijack.circular_enabled
        try:
            for _ in range(body.get("times", 1)):
                kept = the_host().comparing.kept.all()[0]
                ended = []
                request = ComparisonRequest(kept, body["vaes"])
                id = begin(the_host().comparing, service, request, "a test", ended.append)
                while what == "cancel" and not service.comparing.view(id).state.ended:
                    if service.comparisons.get(id).results:
                        service.comparing.stop(id)
                service.comparing.wait(id)
                [done] = ended
        finally:
            put_back()
        return {
            "state": done.state.value,
            "error": str(done.error) if done.error else None,
            "pictures": {one.decoded.vae: one.decoded.pixels is not None for one in done.results},
            "notes": [one.decoded.note.code for one in done.results if one.decoded.note],
            "errors": [str(one.decoded.error) for one in done.results if one.decoded.error],
            "same_padding": sd_hijack.model_hijack.circular_enabled == circular,
        }


    def held():
        from vae_manager.webui.hosts.a1111.adapter import the_host
        from vae_manager.service import the_service

        kept, service = the_host().comparing.kept, the_service(the_host().data_folder)
        return {
            "kept": len(kept.all()),
            "kept_bytes": kept.nbytes,
            "comparison_bytes": service.comparisons.nbytes,
            "jobs": len(service.comparing.views()),
            "process": psutil.Process().memory_info().rss,
            "list": [
                {"id": one.id, "size": one.size, "number": one.number, "tab": one.tab,
                 "note": one.note.code if one.note else "", "infotext": one.infotext,
                 "why_not": str(one.why_not or ""), "vae": one.vae, "checkpoint": one.checkpoint.file,
                 "tiling": one.tiling}
                for one in kept.all()
            ],
        }


    def add_routes(demo, app):
        app.add_api_route("/comparison", compare, methods=["POST"])
        app.add_api_route("/held", held, methods=["GET"])


    script_callbacks.on_app_started(add_routes)
""")


def install_inside(data: Path) -> None:
    """Into the data folder's extensions."""
    folder = data / "extensions" / "inside" / "scripts"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "inside_comparison.py").write_text(SCRIPT, encoding="utf-8")
