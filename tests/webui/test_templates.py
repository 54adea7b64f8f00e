"""HTML comes from the templates alone, and no value reaches the page unescaped."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from jinja2 import DictLoader, Environment, UndefinedError, nodes
from markupsafe import Markup

from vae_manager.messages import joined, msg
from vae_manager.webui.translation import Translator, plain
from vae_manager.webui.ui import rendering
from vae_manager.webui.ui.rendering import TEMPLATES, one_primary, render

ROOT = Path(__file__).parents[2]
WEBUI = ROOT / "vae_manager" / "webui"
TAG = re.compile(r"<[/!]?[a-zA-Z]")
ENGLISH = Translator({})
Show = Callable[..., str]


def html_in(source: str) -> Iterator[int]:
    """Lines where a module makes HTML by itself: a tag in a text, `html.escape`, `Markup` of something."""
    tree = ast.parse(source)
    documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
            if TAG.search(node.value):
                yield node.lineno
        elif isinstance(node, ast.Import | ast.ImportFrom):
            module = getattr(node, "module", None)
            names = {alias.name for alias in node.names}
            if module == "html" or "html" in names or (module == "markupsafe" and names != {"Markup"}):
                yield node.lineno
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Markup" and node.args:
            yield node.lineno


def test_html_of_a_module_is_found() -> None:
    source = """
x = f"<b>{y}</b>"
x = "</b>" + y
from html import escape
import html
from markupsafe import Markup, escape
x = Markup(y)
"""
    assert sorted(html_in(source)) == [2, 2, 3, 4, 5, 6, 7]
    assert list(html_in('"""A <b>."""\nfrom markupsafe import Markup\nx = Markup() + f"a < {y}"')) == []


def test_modules_make_no_html() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in sorted(WEBUI.rglob("*.py"))
        if path != Path(rendering.__file__)
        for line in html_in(path.read_text("utf-8"))
    ]
    assert found == []


# -- the templates -------------------------------------------------------------------------------------------------
FILTERS = {
    "coded",
    "exact",
    "grouped",
    "int",
    "json",
    "length",
    "megabytes",
    "moment",
    "pieces",
    "round",
    "short",
    "translated",
    "words",
}
"""None of them makes HTML of text, and none joins texts that are not translated yet."""


def holes_in(source: str) -> Iterator[str]:
    """Where a template could let a value through as it is."""
    tree = Environment().parse(source)
    for node in tree.find_all((nodes.Filter, nodes.Concat, nodes.ScopedEvalContextModifier, nodes.EvalContextModifier)):
        if not isinstance(node, nodes.Filter) or node.name not in FILTERS:
            yield f"{node.lineno}: {type(node).__name__}"
    yield from re.findall(r"[\w-]=\{\{.{,20}", source)
    yield from re.findall(r"<script|\bon[a-z]+=\"|javascript:", source)


def test_holes_are_found() -> None:
    for source in ("{{ x|safe }}", "{{ x ~ y }}", "{% autoescape false %}{% endautoescape %}", "<a href={{ x }}>",
                   "{{ x|join }}", '<a onclick="{{ x }}">'):  # fmt: skip
        assert list(holes_in(source)), source
    assert list(holes_in('<a href="{{ x|exact }}">{{ f(x, y=z) }}</a>')) == []


@pytest.mark.parametrize("path", sorted(TEMPLATES.glob("*.html")), ids=lambda path: path.name)
def test_templates_have_no_holes(path: Path) -> None:
    assert list(holes_in(path.read_text("utf-8"))) == []


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Show:
    """Renders the body of a macro with the value `x`."""
    environment = rendering._ENVIRONMENT.overlay(cache_size=0)
    monkeypatch.setattr(rendering, "_ENVIRONMENT", environment)

    def show(body: str, x: object = None, translate: Translator = ENGLISH) -> str:
        environment.loader = DictLoader({"t.html": f"{{% macro view(x) %}}\n{body}\n{{% endmacro %}}"})
        return render("t.html", "view", translate, x)

    return show


def test_values_are_escaped_and_misleading_characters_replaced(shown: Show) -> None:
    evil = "<b>\"'&\u202e\n"
    safe = "&lt;b&gt;&#34;&#39;&amp;\ufffd\ufffd"
    assert shown('<p title="{{ x }}">{{ x }}</p>', evil) == f'<p title="{safe}">{safe}</p>'
    assert shown('{{ msg("{a}", a=x) }}', evil) == safe
    assert shown("{{ x|exact }}", evil) == "&lt;b&gt;&#34;&#39;&amp;\u202e\n", "the browser sends it back"
    assert shown("{{ x|json }}", {"a": evil}) == r"{&#34;a&#34;: &#34;&lt;b&gt;\&#34;&#39;&amp;\u202e\n&#34;}"
    name = "a.b\u202e-c"
    assert shown('{% from "t.html" import view %}{{ x|pieces|length }}', name) == "3"
    assert plain(name) in shown("{% for one in x|pieces %}{{ one }}{% endfor %}", name)


def test_sentences_are_translated(shown: Show) -> None:
    chinese = Translator({"Name": "名称", "{a} of {b}": "{b} 中的 {a}"})
    assert shown('{{ msg("{a} of {b}", a=1, b=x) }}, {{ x }}', msg("Name"), chinese) == "名称 中的 1, 名称"
    assert shown("{{ x }} {{ x|translated }}", "Name", chinese) == "Name 名称"


def test_an_element_has_the_codes_of_its_message(shown: Show) -> None:
    inner, chinese = msg("Name", code="inner"), Translator({"Name": "名称", "{a}!": "{a}！"})
    body = "<p{{ x|coded }}>{{ x }}</p>"
    assert shown(body, msg("{a}!", code="outer", a=inner), chinese) == '<p data-vae-code="outer inner">名称！</p>'
    assert shown(body, joined([inner, msg("Rest."), inner])) == '<p data-vae-code="inner">Name Rest. Name</p>'
    assert shown(body, msg("Name")) == shown(body, "Name") == "<p>Name</p>"


def test_a_value_that_is_not_there_is_a_fault(shown: Show) -> None:
    with pytest.raises(UndefinedError):
        shown("{{ x.y }}", "")
    with pytest.raises(UndefinedError):
        shown("{{ y }}")


def test_line_breaks_of_templates_are_left_out(shown: Show) -> None:
    body = """
    <p class="a"
       id="{{ x }}"
       title="b">
        {{ x }}
        {% if x %}
            <b>one</b>
            <i>two
                three</i> {{ x }}
        {% endif %}
    </p>
    """
    assert shown(body, 1) == '<p class="a" id="1" title="b">1<b>one</b><i>two three</i> 1</p>'


def test_one_button_is_primary(shown: Show) -> None:
    primary = '<button class="vm-button vm-primary">'
    html = Markup(shown(f"{primary}{{{{ x }}}}", primary))
    first, second = one_primary(html + html, html)
    assert (first + second).count(primary) == 1
    assert first.startswith(primary)
    assert str(second).count("vm-primary") == 1, "a name that reads like it stays as it is"


def test_every_file_of_the_package_is_installed() -> None:
    # Python 3.10 has no reader of TOML.
    declared = re.search(r"^vae_manager = (\[.*\])$", (ROOT / "pyproject.toml").read_text("utf-8"), re.MULTILINE)
    assert declared is not None
    patterns = ast.literal_eval(declared[1])
    package = ROOT / "vae_manager"
    installed = {path for pattern in patterns for path in package.glob(pattern)}
    assert set(TEMPLATES.iterdir()) <= installed
    assert set(package.rglob("*.yaml")) <= installed
