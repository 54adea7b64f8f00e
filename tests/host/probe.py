"""A small extension that the stand-in's own tests install: it tells through HTTP what it sees."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

SCRIPT = dedent('''
    """Shows what an extension sees."""

    import sys

    import gradio as gr
    import probe_package
    from modules import script_callbacks, scripts, sd_hijack, sd_vae, shared
    from modules.options import OptionInfo

    probe_package.loads += 1
    FOLDER = scripts.basedir()
    IN_PATH_WHILE_LOADING = FOLDER in sys.path


    class Probe(scripts.Script):
        def title(self):
            return "Probe"

        def show(self, is_img2img):
            return scripts.AlwaysVisible

        def ui(self, is_img2img):
            return [gr.Textbox(label="Note", value="nothing", elem_id=self.elem_id("note"))]

        def before_process(self, p, note):
            probe_package.seen.append(["before_process", shared.opts.sd_vae, sd_vae.get_loaded_vae_name()])

        def process(self, p, note):
            probe_package.seen.append(["process", shared.opts.sd_vae, p.sd_vae_name])
            p.extra_generation_params["Probe"] = note


    def facts():
        unknown = {}
        for owner, name in ((shared, "nonsense"), (shared.opts, "nonsense"), (shared.cmd_opts, "nonsense")):
            try:
                getattr(owner, name)
            except AttributeError as error:
                unknown[type(owner).__name__] = str(error)
        try:
            import probe_late
        except ModuleNotFoundError as error:
            late = str(error)
        seen, probe_package.seen = probe_package.seen, []
        return {
            "loads": probe_package.loads,
            "apps": probe_package.apps,
            "in_path_while_loading": IN_PATH_WHILE_LOADING,
            "in_path_now": FOLDER in sys.path,
            "late": late,
            "unknown": unknown,
            "loaded_vae_file": sd_vae.loaded_vae_file,
            "hijacked": sd_hijack.model_hijack.layers is not None,
            "seen": seen,
            "folders": {name: getattr(shared.opts, name) for name in shared.opts.data_labels if "outdir_" in name},
        }


    def app_started(demo, app):
        probe_package.apps += 1
        app.add_api_route("/probe", facts, methods=["GET"])
        app.add_api_route("/probe/reload", lambda: shared.state.request_restart(), methods=["POST"])


    def ui_settings():
        info = OptionInfo(7, "A number", section=("probe", "Probe section"))
        shared.opts.add_option("probe_number", info)


    script_callbacks.on_app_started(app_started)
    script_callbacks.on_ui_settings(ui_settings)
''')

CHINESE = '{"Generate": "生成", "A number": "一个数"}'


def install_probe(data: Path) -> None:
    """Into the data folder's extensions, as a clone of it would lie there."""
    folder = data / "extensions" / "probe"
    for path, text in {
        "scripts/probe.py": SCRIPT,
        "probe_package.py": "loads = 0\napps = 0\nseen = []\n",
        "probe_late.py": "",
        "install.py": "print('probe installed')\n",
        "localizations/zh_CN.json": CHINESE,
        "javascript/probe.js": "onUiLoaded(() => document.body.dataset.probe = 'loaded');\n",
        "style.css": "#footer { --probe: yes; }\n",
    }.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
