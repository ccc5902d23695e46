"""The pages say what is there: links lead somewhere, and the example of the README runs."""

from __future__ import annotations

import re

import pytest
from root import ROOT

from evlayerseg_ros.cli import main

PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_every_page_is_linked_from_the_readme():
    text = (ROOT / "README.md").read_text()
    for page in PAGES:
        if page.name != "README.md":
            assert f"(docs/{page.name})" in text, page.name


def test_the_tests_that_the_page_of_faults_names_are_there():
    there = "".join(path.read_text() for path in (ROOT / "test").rglob("test_*.py"))
    for name in re.findall(r"`(test_\w+)", (ROOT / "docs/reliability.md").read_text()):
        assert f"def {name}(" in there, name


def test_the_readme_names_every_command():
    text = (ROOT / "README.md").read_text()
    for name in main.commands:
        assert re.search(rf"`{name}[ `]", text), name


def test_the_example_of_the_readme_runs(dots, capsys):
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    exec(example.replace("recording.raw", str(dots)), {})
    assert len(capsys.readouterr().out.splitlines()) >= 4
