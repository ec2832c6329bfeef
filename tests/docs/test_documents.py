"""What the documents say can be followed: blocks run, links lead somewhere, commands exist."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    path
    for pattern in ["*.md", "docs/**/*.md", "telemetry_*/*.md", "plugins/*/*.md"]
    for path in ROOT.glob(pattern)
)
HISTORY = {ROOT / "CHANGELOG.md"}  # speaks of what was, so nothing in it has to run today

FENCE = re.compile(r"^ *```(\S*)", re.MULTILINE)
SKIP = re.compile(r"<!--+ *skip:.*?--+>", re.DOTALL)
COMMAND = re.compile(
    r"(?:`|^(?:\$ )?(?=make [a-z-]+(?: *$| +#| +[A-Z]+=)))make ([a-z-]+)", re.MULTILINE
)
LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")


@pytest.fixture(params=DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def document(request):
    """Each document of the project in turn."""
    return request.param


def test_the_blocks_of_every_document_are_run(document):
    """A document that pytest does not collect could promise anything."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]
    collected = {path for each in settings["ini_options"]["testpaths"] for path in ROOT.glob(each)}
    assert {document, *document.parents} & (collected | HISTORY)


def test_python_blocks_are_spelled_the_way_that_is_run(document):
    """Only fences called `python` are run, so no other spelling may hide from it."""
    spellings = set(FENCE.findall(document.read_text()))
    assert spellings & {"py", "python3", "Python", "pycon", "ipython"} == set()


def test_a_block_is_left_out_only_for_a_reason(document):
    """Each `skip` names the next block and says why a reader could not just run it."""
    reasoned = re.compile(r'<!--+ *skip: next(?: if\(.+, reason=)? *"[^"]{10,}"\)? *--+>')
    assert [
        skip for skip in SKIP.findall(document.read_text()) if not reasoned.fullmatch(skip)
    ] == []


def test_links_lead_to_a_file(document):
    """A link inside the project points at something that is there."""
    targets = [each for each in LINK.findall(document.read_text()) if "://" not in each]
    assert [each for each in targets if not (document.parent / each).exists()] == []


def test_the_commands_are_there(document):
    """Every `make` target that a document names is one of the Makefile."""
    named = set(COMMAND.findall(document.read_text()))
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert named - targets == set()


def test_help_lists_every_command():
    """`make` alone shows each target with a line about it."""
    said = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    listed = set(re.findall(r"^make ([a-z-]+) +\S", said.stdout, re.MULTILINE))
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert listed == set(phony[1].split())
