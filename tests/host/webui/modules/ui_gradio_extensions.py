"""Imitates modules/ui_gradio_extensions.py: the page's head gets the scripts and styles of the WebUI and extensions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from modules import localization, scripts, shared, util
from modules.paths import script_path

_original_response = gr.routes.templates.TemplateResponse


def webpath(fn: str) -> str:
    """The address of a file, which changes when the file does."""
    return f"file={util.truncate_path(fn)}?{Path(fn).stat().st_mtime}"


def javascript_html() -> str:
    """The localization first, then script.js, then the scripts."""
    head = [f'<script type="text/javascript">{localization.localization_js(shared.opts.localization)}</script>']
    files = [str(Path(script_path, "script.js")), *(file.path for file in scripts.list_scripts("javascript", ".js"))]
    head += [f'<script type="text/javascript" src="{webpath(file)}"></script>' for file in files]
    modules = [file.path for file in scripts.list_scripts("javascript", ".mjs")]
    head += [f'<script type="module" src="{webpath(file)}"></script>' for file in modules]
    if shared.cmd_opts.theme:
        head.append(f'<script type="text/javascript">set_theme("{shared.cmd_opts.theme}");</script>')
    return "\n".join(head)


def css_html() -> str:
    files = scripts.list_files_with_name("style.css")
    return "".join(f'<link rel="stylesheet" property="stylesheet" href="{webpath(file)}">' for file in files)


def reload_javascript() -> None:
    """Lists the files anew; their contents are fetched by the browser."""
    js, css = javascript_html(), css_html()

    def template_response(*args: Any, **kwargs: Any) -> Any:
        response = _original_response(*args, **kwargs)
        head = f'{js}<meta name="referrer" content="no-referrer"/></head>'.encode()
        response.body = response.body.replace(b"</head>", head).replace(b"</body>", f"{css}</body>".encode())
        response.init_headers()
        return response

    gr.routes.templates.TemplateResponse = template_response
