"""Hooks of MkDocs: generated pages, links out of the folder `docs`, and formulas as MathML."""

from __future__ import annotations

import html
import posixpath
import re
import sys
from collections.abc import Callable
from pathlib import Path

from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # MkDocs runs this file by its path

from docs.generate.commands import commands_page  # noqa: E402
from docs.generate.reference import job_file_page, record_page  # noqa: E402

_BESIDE = {"CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
"""Pages that are beside the folder `docs`, and their names in the documentation."""
_SAME = {"README.md": "index.md"} | _BESIDE
_SHIM = "https://unpkg.com/iframe-worker/shim"
_OWN_SHIM = "assets/iframe-worker/shim.js"
"""The script with which the search works on pages that are opened as files: iframe-worker 1.0.4."""
_LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)\s#:]+)(#[^)\s]*)?\)")
_FORMULA = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', re.S)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made from the program, and those beside the folder `docs`."""
    pages = {
        "reference/job-file.md": job_file_page(),
        "reference/run-record.md": record_page(),
        "reference/commands.md": commands_page(),
    }
    for name, page in _BESIDE.items():
        pages[page] = (ROOT / name).read_text(encoding="utf-8")
    for name, content in pages.items():
        files.append(File.generated(config, name, content=content))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn a link to a file of the repository into its path: the reader may not have the file."""
    folder = posixpath.dirname(page.file.src_uri)

    beside = page.file.src_uri in _BESIDE.values()

    def inside(found: re.Match[str]) -> str:
        words, target, anchor = found.group(1), found.group(2), found.group(3) or ""
        if ":" in target:
            return found.group(0)
        place = posixpath.normpath(target if beside else posixpath.join("docs", folder, target))
        name = _SAME.get(place) or (place[5:] if place.startswith("docs/") else None)
        if name:
            return f"[{words}]({posixpath.relpath(name, folder or '.')}{anchor})"
        path = place.rstrip("/")
        return f"`{path}`" if words.strip("`") == path else f"{words} (`{path}`)"

    return _outside_code(markdown, lambda text: _LINK.sub(inside, text))


def on_page_content(content: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn formulas into MathML, which browsers show without a script."""

    def shown(found: re.Match[str]) -> str:
        kind = "block" if found[2] == "[" else "inline"
        return convert(html.unescape(found[3]).strip(), display=kind)

    return _FORMULA.sub(shown, content)


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Take the script of the search from the documentation itself, not from another host."""
    return output.replace(_SHIM, posixpath.relpath(_OWN_SHIM, posixpath.dirname(page.url) or "."))


def on_post_template(output_content: str, template_name: str, config: MkDocsConfig) -> str:
    """The same for the page of a wrong address."""
    return output_content.replace(_SHIM, f"/{_OWN_SHIM}")


def _outside_code(markdown: str, change: Callable[[str], str]) -> str:
    """Change the text of a page outside fenced code."""
    parts = re.split(r"(^ *```.*?^ *```$)", markdown, flags=re.M | re.S)
    return "".join(part if number % 2 else change(part) for number, part in enumerate(parts))
