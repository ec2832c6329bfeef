"""The distributions of the workspace, found where they stand, for the tests of their structure."""

import tomllib
from pathlib import Path

import pytest
from attrs import frozen

ROOT = Path(__file__).parents[2]
MANIFESTS = sorted([*ROOT.glob("*/pyproject.toml"), *ROOT.glob("plugins/*/pyproject.toml")])


@frozen
class Distribution:
    """One installable distribution: where it stands and what its pyproject.toml says."""

    folder: Path
    project: dict

    @property
    def name(self):
        """The name, which is also the name of the import package."""
        return self.project["name"]

    @property
    def package(self):
        """The folder that holds the modules."""
        source = self.folder / "src" / self.name
        return source if source.is_dir() else self.folder

    @property
    def requirements(self):
        """What it needs, its extras included."""
        extras = self.project.get("optional-dependencies", {})
        return [
            *self.project["dependencies"],
            *(each for extra in extras.values() for each in extra),
        ]


def distribution_in(folder):
    """Read the distribution whose pyproject.toml stands in *folder*."""
    manifest = tomllib.loads((folder / "pyproject.toml").read_text())
    return Distribution(folder, manifest["project"])


@pytest.fixture(scope="session")
def root():
    """The top of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def distributions():
    """Every distribution of the workspace."""
    return [distribution_in(manifest.parent) for manifest in MANIFESTS]


@pytest.fixture(scope="module", params=MANIFESTS, ids=lambda manifest: manifest.parent.name)
def distribution(request):
    """Each distribution of the workspace in turn."""
    return distribution_in(request.param.parent)
