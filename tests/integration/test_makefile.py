"""The Makefile: what it makes of a `.venv` that is old, broken or elsewhere. Pip is left out: it takes minutes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.processes import ROOT

pytestmark = [
    pytest.mark.skipif(not shutil.which("make"), reason="make is not here"),
    pytest.mark.xdist_group("up"),
]

Made = subprocess.CompletedProcess[str]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return project_in(tmp_path / "project")


def project_in(folder: Path) -> Path:
    folder.mkdir()
    shutil.copy(ROOT / "Makefile", folder)
    for name in ("pyproject.toml", "constraints.txt"):
        (folder / name).touch()
    return folder


def make(folder: Path, *arguments: str, pip: str = "true", **locale: str) -> Made:
    environ = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ} | locale
    command = ["make", f"PIP={pip}", *arguments]
    return subprocess.run(command, cwd=folder, env=environ, capture_output=True, errors="replace", check=False)


def install(folder: Path, *, python: str | None = None, pip: str = "true", **locale: str) -> Made:
    return make(folder, ".venv/installed", f"PYTHON={python or quick_python(folder)}", pip=pip, **locale)


def is_installed(folder: Path, *arguments: str, **locale: str) -> bool:
    return make(folder, "--question", ".venv/installed", *arguments, **locale).returncode == 0


def script(folder: Path, text: str, name: str = "stand-in") -> str:
    """Write a script that stands in for a program, and return how to call it."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return f"./{path.name}"


def quick_python(folder: Path) -> str:
    """Make a Python that does not put pip into a .venv, which takes longest."""
    without = f'if [ "$1 $2" = "-m venv" ]; then shift 2; exec {sys.executable} -m venv --without-pip "$@"; fi'
    return script(folder, f'{without}\nexec {sys.executable} "$@"', "quick-python")


def python_but(folder: Path, change: str) -> str:
    """Make a Python in which something is otherwise."""
    code = f"import sys; {change}; sys.argv.pop(0); exec(sys.argv[1])"
    return script(folder, f'exec {sys.executable} -c "{code}" "$@"')


def test_what_is_installed_stays_as_it_is(project: Path) -> None:
    assert not is_installed(project)
    assert install(project).returncode == 0

    assert is_installed(project)
    assert is_installed(project, f"PYTHON={sys.executable}")


def test_another_python_is_taken_only_when_somebody_asks_for_it(project: Path) -> None:
    install(project)
    other = script(project, "echo '(3, 99)'")

    assert is_installed(project)
    assert not is_installed(project, f"PYTHON={other}")


def lose_its_python(folder: Path) -> None:
    for link in (folder / ".venv" / "bin").glob("python*"):
        link.unlink()
        link.symlink_to("/nowhere/python3")


def be_of_another_version(folder: Path) -> None:
    (folder / ".venv" / "installed").write_text(f"{folder}/.venv (3, 8)\n")


def be_of_an_older_makefile(folder: Path) -> None:
    (folder / ".venv" / "installed").write_text("")


def be_half_there(folder: Path) -> None:
    shutil.rmtree(folder / ".venv")
    (folder / ".venv" / "lib" / "python3.11").mkdir(parents=True)


@pytest.mark.parametrize("spoil", [lose_its_python, be_of_another_version, be_of_an_older_makefile, be_half_there])
def test_a_spoilt_one_is_made_anew(spoil: object, project: Path) -> None:
    install(project)
    relic = project / ".venv" / "relic"
    assert callable(spoil)
    spoil(project)
    relic.touch()
    assert not is_installed(project)

    assert install(project).returncode == 0
    assert is_installed(project)
    assert not relic.exists()


def test_one_that_was_moved_is_made_anew(project: Path) -> None:
    install(project)
    moved = project.rename(project.with_name("moved"))

    assert not is_installed(moved)
    assert install(moved).returncode == 0
    assert is_installed(moved)


def test_new_dependencies_leave_the_rest_in_place(project: Path) -> None:
    install(project)
    (project / ".venv" / "relic").touch()
    os.utime(project / "pyproject.toml", (2**32, 2**32))

    assert install(project).returncode == 0
    assert (project / ".venv" / "relic").exists()


@pytest.mark.parametrize("name", ["a b", "官方", "it's", 'say "x"', "h#sh", "do$HOME", "a,b", "(c)"])
def test_the_folder_may_have_any_name(name: str, tmp_path: Path) -> None:
    folder = project_in(tmp_path / name)

    assert install(folder).returncode == 0
    assert is_installed(folder)


# Locales.


def editable(folder: Path) -> str:
    """Make a pip that writes the folder's path where an editable install does."""
    (folder / "tokenworker.py").write_text("print('found')")
    write = 'for site in .venv/lib/python*/site-packages; do pwd > "$site/_editable_impl_tokenworker.pth"; done'
    return script(folder, f'case "$*" in *--editable*) {write};; esac', "editable-pip")


def imported(folder: Path, **locale: str) -> Made:
    """Have the Python of the .venv import what was installed, from elsewhere."""
    command = [str(folder / ".venv" / "bin" / "python"), "-c", "import tokenworker"]
    return subprocess.run(command, cwd="/", env=locale, capture_output=True, text=True, check=False)


@pytest.fixture(scope="session")
def locales(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make locales that a machine may have, whatever this one has."""
    folder = tmp_path_factory.mktemp("locales")
    localedef = shutil.which("localedef")
    if not (localedef and Path("/usr/share/i18n/charmaps/GBK.gz").exists()):
        pytest.skip("localedef is not here, or has no GBK")
    for language, charmap in (("zh_CN", "GBK"), ("de_DE", "ISO-8859-1")):
        name = str(folder / f"{language}.{charmap}")
        subprocess.run([localedef, "-i", language, "-f", charmap, name], capture_output=True, check=False)
    return folder


def outlives_locales(folder: Path, *names: str, **place: str) -> None:
    """Install under each locale, and see that the others find all as it should be."""
    for first in names:
        shutil.rmtree(folder / ".venv", ignore_errors=True)
        made = install(folder, pip=editable(folder), LC_ALL=first, **place)
        assert made.returncode == 0, made.stderr
        for name in names:
            assert is_installed(folder, LC_ALL=name, **place)
            assert imported(folder, LC_ALL=name, **place).stdout == "found\n"


def test_a_locale_that_is_not_installed_is_no_hindrance_whatever_the_folder(tmp_path: Path) -> None:
    outlives_locales(project_in(tmp_path / "微信 x"), "C.UTF-8", "zh_CN.GBK", "C")


def test_nor_is_one_that_reads_the_folder_as_something_else(tmp_path: Path, locales: Path) -> None:
    outlives_locales(project_in(tmp_path / "微信 x"), "C.UTF-8", "zh_CN.GBK", "de_DE.ISO-8859-1", LOCPATH=str(locales))


def test_a_path_that_every_locale_reads_stays_as_pip_wrote_it(project: Path) -> None:
    install(project, pip=editable(project))
    (pth,) = (project / ".venv").glob("lib/python*/site-packages/*.pth")

    assert pth.read_text() == f"{project}\n"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            "sys.version_info, sys.version = (3, 9), '3.9.1 x'",
            "tokenworker needs Python 3.11 or newer, and this is 3.9.1",
        ),
        ("sys.modules['ensurepip'] = None", "on Debian and Ubuntu: sudo apt install python3-venv"),
    ],
)
def test_a_python_that_will_not_do_is_one_sentence(change: str, sentence: str, project: Path) -> None:
    made = install(project, python=python_but(project, change))

    assert made.returncode == 2
    assert sentence in made.stderr
    assert len(made.stderr.splitlines()) == 2  # the other line is make's
    assert not (project / ".venv").exists()


def test_where_there_is_no_embedded_server_the_rest_is_installed(project: Path) -> None:
    pip = script(project, 'case "$*" in *only-binary*) echo "no matching distribution" >&2; exit 1;; esac')
    made = install(project, pip=pip)

    assert made.returncode == 0
    assert 'No Redis server comes with tokenworker for this machine: "make up" takes a redis-server' in made.stdout
    assert is_installed(project)


def test_what_pip_cannot_install_is_tried_again(project: Path) -> None:
    assert install(project, pip="false").returncode == 2
    assert not is_installed(project)

    assert install(project).returncode == 0


def test_options_of_up_go_into_args(tmp_path: Path) -> None:
    folder = project_in(tmp_path / "a b")
    made = make(
        folder, "up", f"BIN={Path(sys.executable).parent}", "ARGS=--flower-port 99999", f"PYTHON={sys.executable}"
    )

    assert "Invalid value for '--flower-port': 99999" in made.stderr
