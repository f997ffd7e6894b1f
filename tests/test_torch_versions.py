"""What ``python -m tests.torch_versions`` runs is what the project says that it takes."""

import tomllib

from packaging.specifiers import SpecifierSet

from tests.torch_versions import CHOSEN, OF_TORCH, ROOT, VERSIONS


def taken():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (line,) = [each for each in project["dependencies"] if each.startswith("torch ")]
    return SpecifierSet(line.removeprefix("torch "))


def test_the_oldest_and_the_newest_release_that_the_project_takes_are_run():
    oldest, newest = VERSIONS
    assert oldest in taken()
    assert newest in taken()
    first, second = (tuple(map(int, each.split(".")[:2])) for each in VERSIONS)
    assert f"{first[0]}.{first[1] - 1}.9" not in taken()
    assert f"{second[0]}.{second[1] + 1}.0" not in taken()


def test_the_tests_that_are_chosen_are_there():
    assert all((ROOT / each).exists() for each in CHOSEN)


def test_what_releases_set_themselves_is_what_the_constraints_name():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    assert all(any(line.startswith(each) for line in lines) for each in OF_TORCH)


def test_documents_name_the_releases_that_are_run():
    oldest, newest = (".".join(each.split(".")[:2]) for each in VERSIONS)
    assert f"torch {oldest} to {newest}" in " ".join((ROOT / "README.md").read_text().split())
