"""What is built holds the package whole and nothing else."""

import subprocess
import sys
import tarfile
import zipfile

import pytest

NOT_SHIPPED = {"pyproject.toml", "README.md", "LICENSE"}


def files_of(distribution):
    """Return every file of the package, as it stands in the tree."""
    return [
        path
        for path in distribution.package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.name not in NOT_SHIPPED
    ]


def build(folder, destination):
    """Build the wheel and the sdist of the distribution in *folder*."""
    command = [sys.executable, "-m", "hatchling", "build", "-d", destination]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = destination.glob("*.whl")
    (sdist,) = destination.glob("*.tar.gz")
    return wheel, sdist


def contents(wheel):
    """Return the files of *wheel* and what is in them, without the list of their hashes."""
    with zipfile.ZipFile(wheel) as archive:
        return {
            name: archive.read(name) for name in archive.namelist() if not name.endswith("/RECORD")
        }


@pytest.fixture(scope="module")
def built(distribution, tmp_path_factory):
    """The wheel and the sdist, built from the tree."""
    return build(distribution.folder, tmp_path_factory.mktemp("built"))


def test_the_wheel_holds_exactly_the_files_of_the_package(distribution, built):
    """Every file of the package is in the wheel, and nothing that does not belong to it."""
    files = {
        f"{distribution.name}/{path.relative_to(distribution.package).as_posix()}"
        for path in files_of(distribution)
    }
    shipped = {name for name in contents(built[0]) if ".dist-info/" not in name}
    assert shipped == files


def test_the_wheel_is_typed(distribution, built):
    """Type checkers find py.typed beside the package."""
    assert f"{distribution.name}/py.typed" in contents(built[0])


def test_the_wheel_from_the_sdist_is_the_wheel_from_the_tree(built, tmp_path):
    """The sdist lacks nothing: building from it gives the same files with the same bytes."""
    wheel, sdist = built
    # Python 3.11.4 has the filter first, 3.12 asks for it.
    safely = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path / "sdist", **safely)
    (unpacked,) = (tmp_path / "sdist").iterdir()
    again, _ = build(unpacked, tmp_path / "again")
    assert contents(again) == contents(wheel)


def test_the_sdist_holds_no_tests_and_no_leftovers(distribution, built):
    """The sdist is the package, its manifest, its README and its license."""
    added_by_hatchling = {"PKG-INFO", ".gitignore"}
    with tarfile.open(built[1]) as archive:
        names = {member.name.partition("/")[2] for member in archive if member.isfile()}
    files = {path.relative_to(distribution.folder).as_posix() for path in files_of(distribution)}
    assert names == files | NOT_SHIPPED | added_by_hatchling
