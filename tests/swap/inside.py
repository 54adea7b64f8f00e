"""A small extension for tests: runs `interrupt` inside the process of a WebUI, stand-in or real.

`POST /interrupt {"from": word, "to": word}`, words being those of the setting `sd_vae`: brings in the first VAE, then
the second one through the WebUI's own `reload_vae_weights` with an exception before each line of the project's code,
one at a time. Gives how often the old VAE, and how often the new one, was in use afterwards; and what was wrong.

`GET /guards` gives the names of the patches that are in place.
"""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

PARTS = ("vae_manager/swap/", "common/vae_state.py", "a1111/vae_state.py", "reforge/vae_state.py")
"""Parts of paths: the code that is interrupted."""

SCRIPT = dedent("""
    from collections import Counter

    from modules import call_queue, devices, script_callbacks, sd_models, sd_vae, shared
    from tests.swap.injecting import Injected, tracing


    def state():
        model = sd_models.model_data.sd_model
        module = model.first_stage_model
        base = model.base_vae and {name: tensor.clone() for name, tensor in model.base_vae.items()}
        return {
            "weights": {name: tensor.clone() for name, tensor in module.state_dict().items()},
            "base": base,
            "books": [sd_vae.loaded_vae_file, model.loaded_vae_file, str(devices.dtype_vae),
                      sd_vae.base_vae is model.base_vae, sd_vae.checkpoint_info is model.sd_checkpoint_info],
        }


    def same_tensors(one, other):
        if one is None or other is None:
            return one is other
        return all(bool((one[name] == other[name]).all()) for name in one)


    def same(one, other):
        return (
            one["books"] == other["books"]
            and same_tensors(one["weights"], other["weights"])
            and same_tensors(one["base"], other["base"])
        )


    def go_to(word):
        shared.opts.data["sd_vae"] = word
        sd_vae.reload_vae_weights()


    def interrupt(body: dict):
        outcomes, wrong = Counter(), []
        with call_queue.queue_lock:
            go_to(body["to"])
            new = state()
            go_to(body["from"])
            old = state()
            with tracing(PARTS) as steps:
                go_to(body["to"])
            for step in steps:
                go_to(body["from"])
                assert same(state(), old), f"not where it began, before {step}"
                try:
                    with tracing(PARTS, step):
                        go_to(body["to"])
                except Injected:
                    pass
                found = state()
                which = "old" if same(found, old) else "new" if same(found, new) else "neither"
                outcomes[which] += 1
                if which == "neither":
                    wrong.append([str(step), found["books"]])
        return {"outcomes": outcomes, "wrong": wrong, "steps": len(steps)}


    def guards():
        from vae_manager.webui.hosts.a1111 import load_hooks
        from vae_manager.webui.hosts.common.patches import is_of

        patches = load_hooks.all_patches()
        return [one.name for one in patches if is_of(load_hooks, getattr(one.resolved_place(), one.name))]


    def in_use_without_vae():
        # what the page asks, at a moment when the model has none
        from vae_manager.webui.hosts.a1111.adapter import the_host

        model = sd_models.model_data.sd_model
        vae, model.first_stage_model = model.first_stage_model, None
        try:
            return {"identity": the_host().in_use().identity}
        finally:
            model.first_stage_model = vae


    def cover():
        # as another extension does
        before = sd_vae.reload_vae_weights

        def other(*args, **kwargs):
            return before(*args, **kwargs)

        sd_vae.reload_vae_weights = other


    def add_routes(demo, app):
        app.add_api_route("/interrupt", interrupt, methods=["POST"])
        app.add_api_route("/guards", guards, methods=["GET"])
        app.add_api_route("/in-use-without-vae", in_use_without_vae, methods=["POST"])
        app.add_api_route("/cover", cover, methods=["POST"])
        app.add_api_route("/covered", lambda: sd_vae.reload_vae_weights.__name__ == "other", methods=["GET"])
        app.add_api_route("/reload-ui", lambda: shared.state.request_restart(), methods=["POST"])


    script_callbacks.on_app_started(add_routes)
""")


def install_inside(data: Path) -> None:
    """Into the data folder's extensions."""
    folder = data / "extensions" / "inside" / "scripts"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "inside.py").write_text(f"PARTS = {PARTS!r}\n{SCRIPT}", encoding="utf-8")
