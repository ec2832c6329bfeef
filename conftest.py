"""Every Python block of a document is a test, so that no document can promise what does not run."""

import os

import pytest
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser


@pytest.fixture(scope="module")
def in_a_new_directory(tmp_path_factory):
    """Run the blocks of one document where they may write what they like."""
    before = os.getcwd()  # noqa: PTH109 - handed back to os.chdir as it is
    os.chdir(tmp_path_factory.mktemp("document"))
    yield
    os.chdir(before)


pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser(), SkipParser()],
    patterns=["*.md"],
    fixtures=["in_a_new_directory"],
).pytest()
