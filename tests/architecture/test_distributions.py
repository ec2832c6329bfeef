"""What the manifests promise together: one version, pinned siblings, every import declared."""

import ast
import importlib
import re
import sys
import tomllib
from importlib.metadata import packages_distributions

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def test_every_folder_of_the_house_is_a_distribution(distributions):
    """Our own are found; another one joins by standing beside them."""
    names = {each.name for each in distributions}
    ours = {"telemetry_core", "telemetry_http", "telemetry_migrate"}
    assert names >= ours | {"telemetry_host", "telemetry_postgres"}


def test_a_distribution_has_the_name_of_its_folder(distribution):
    """Folder, distribution and import package share one name."""
    assert distribution.name == distribution.folder.name


def test_versions_go_in_lockstep(distributions):
    """All distributions carry the same version."""
    assert len({each.project["version"] for each in distributions}) == 1


def test_a_package_tells_the_version_of_its_distribution(distribution):
    """Where a package has `__version__`, it is the one that was installed."""
    package = importlib.import_module(distribution.name)
    version = distribution.project["version"]
    assert getattr(package, "__version__", version) == version


def test_siblings_are_pinned_to_the_same_version(distributions):
    """A distribution takes its siblings of exactly its own version."""
    siblings = {canonicalize_name(each.name) for each in distributions}
    for each in distributions:
        for requirement in map(Requirement, each.requirements):
            if canonicalize_name(requirement.name) in siblings:
                pinned = str(requirement.specifier)
                assert pinned == f"=={each.project['version']}", (each.name, requirement)


def test_all_ask_for_the_same_python(distributions):
    """The floor is Python 3.11 everywhere."""
    assert {each.project["requires-python"] for each in distributions} == {">=3.11"}


def test_each_carries_the_license_of_the_project(distribution, root):
    """The license travels with every distribution, word for word."""
    assert (distribution.folder / "LICENSE").read_text() == (root / "LICENSE").read_text()


def test_every_third_party_import_is_declared(distribution):
    """A package imports only the standard library, itself and what its manifest names."""
    declared = {canonicalize_name(Requirement(each).name) for each in distribution.requirements}
    providers = packages_distributions()
    undeclared = {
        (path.name, module)
        for path in distribution.package.rglob("*.py")
        for module in imported_modules(path)
        if module not in sys.stdlib_module_names | {distribution.name}
        and not {canonicalize_name(name) for name in providers.get(module, [module])} & declared
    }
    assert undeclared == set()


def test_every_requirement_is_pinned(distributions, root):
    """constraints.txt pins each requirement of each distribution and of the workspace, once."""
    pins = [canonicalize_name(line.partition("==")[0]) for line in constraint_lines(root)]
    assert len(pins) == len(set(pins))
    groups = tomllib.loads((root / "pyproject.toml").read_text())["dependency-groups"]
    required = {
        canonicalize_name(Requirement(each).name)
        for each in [*groups["dev"], *(each for one in distributions for each in one.requirements)]
    }
    assert required - set(pins) == {"telemetry-core"}


def test_constraints_hold_pins_and_nothing_else(root):
    """No option, path or address stands in constraints.txt: any index may serve the pins."""
    pin = re.compile(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+( ; .+)?")
    assert [line for line in constraint_lines(root) if not pin.fullmatch(line)] == []


def constraint_lines(root):
    """Return the lines of constraints.txt that are not comments."""
    lines = (root / "constraints.txt").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def imported_modules(path):
    """Return the top-level names that the module at *path* imports, wherever in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(node.module)
    return {name.partition(".")[0] for name in names}
