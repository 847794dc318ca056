"""script/release: what it refuses, what a version has, and that the same commit gives the same bytes wherever it is made."""

import hashlib
import json
import os
import shutil
import subprocess
import tarfile

import pytest

from edge import ROOT, build_dir

pytestmark = pytest.mark.no_sanitizer  # it reads what the programs link to, which the sanitizers' runtimes would be among

CHANGELOG = "# Changelog\n\n## 1.2.3\n### For readers\n- A new bar.\n\n## 1.2.2\n- An old bar.\n"
COMMITTED_S = 1700000000


def _git(folder, *arguments):
    env = dict(os.environ, GIT_CONFIG_GLOBAL="/dev/null", GIT_CONFIG_NOSYSTEM="1", GIT_AUTHOR_DATE="%d +0000" % COMMITTED_S, GIT_COMMITTER_DATE="%d +0000" % COMMITTED_S)
    subprocess.run(["git", "-C", str(folder), "-c", "user.name=x", "-c", "user.email=x@invalid", "-c", "commit.gpgsign=false", *arguments],
                   env=env, stdout=subprocess.DEVNULL, check=True)


def _repository(folder):
    """A project of few files whose version is 1.2.3."""
    os.makedirs(folder / "script")
    for name in ("lib.sh", "package", "release", "sbom"):
        shutil.copy(os.path.join(ROOT, "script", name), folder / "script")
    (folder / "CHANGELOG.md").write_text(CHANGELOG)
    (folder / "CMakeLists.txt").write_text("project(tally VERSION 1.2.3 LANGUAGES C)\n")
    (folder / ".gitignore").write_text("/build/\n")
    _git(folder, "init", "-q")
    _git(folder, "add", ".")
    _git(folder, "commit", "-q", "-m", "x")
    return folder


def _release(folder, *arguments, umask=0o022):
    env = {name: value for name, value in os.environ.items() if not name.startswith(("TALLY_", "GIT_"))}
    return subprocess.run([str(folder / "script" / "release"), *arguments, "--no-packages"], env=dict(env, TALLY_BUILD=build_dir()), umask=umask, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def _made(folder, **more):
    done = _release(folder, "1.2.3", **more)
    assert done.returncode == 0, done.stderr
    made = folder / "build" / "release-1.2.3"
    return {name: (made / name).read_bytes() for name in os.listdir(made)}


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    return _repository(tmp_path_factory.mktemp("release") / "tally")


@pytest.fixture(scope="module")
def version(repository):
    """name → bytes of all that a version has."""
    return _made(repository)


def _refused(folder, *arguments):
    done = _release(folder, *arguments)
    assert done.returncode != 0 and not done.stdout and done.stderr.count("\n") == 1, done
    assert not os.path.exists(folder / "build")
    return done.stderr


def test_it_refuses_what_is_no_version_of_a_commit(tmp_path):
    project = _repository(tmp_path / "tally")
    assert "'1.2.4' here and '1.2.3' in CMakeLists.txt" in _refused(project, "1.2.4")
    assert "usage: script/release VERSION" in _refused(project)
    (project / "new.c").write_text("")
    assert "the tree differs from the commit: commit or remove ?? new.c" in _refused(project, "1.2.3")
    (project / "new.c").unlink()
    (project / "CHANGELOG.md").write_text(CHANGELOG.replace("1.2.3", "1.2.30"))
    assert "M CHANGELOG.md" in _refused(project, "1.2.3")
    _git(project, "commit", "-q", "-a", "-m", "x")
    assert "CHANGELOG.md has no section '## 1.2.3' with text" in _refused(project, "1.2.3")
    shutil.rmtree(project / ".git")
    assert "is not a git repository" in _refused(project, "1.2.3")


def test_a_version_has_its_parts_and_their_checksums(version):
    assert sorted(version) == ["RELEASE-NOTES.md", "SHA256SUMS", "tally-1.2.3.spdx.json", "tally-1.2.3.tar.gz"]
    assert version["RELEASE-NOTES.md"].decode() == "### For readers\n- A new bar.\n\n"
    sums = dict(reversed(line.split("  ")) for line in version["SHA256SUMS"].decode().splitlines())
    assert sums == {name: hashlib.sha256(data).hexdigest() for name, data in version.items() if name != "SHA256SUMS"}


def test_the_tarball_is_the_commit(repository, version):
    with tarfile.open(repository / "build" / "release-1.2.3" / "tally-1.2.3.tar.gz") as tar:
        members = tar.getmembers()
        assert {(member.mtime, member.uid, member.gid) for member in members} == {(COMMITTED_S, 0, 0)}
        assert tar.extractfile("tally-1.2.3/CHANGELOG.md").read().decode() == CHANGELOG
        assert {member.name for member in members if member.isfile()} == {
            "tally-1.2.3/" + name for name in (".gitignore", "CHANGELOG.md", "CMakeLists.txt", "script/lib.sh", "script/package", "script/release", "script/sbom")}


def test_the_sbom_names_what_the_programs_link_to(version):
    sbom = json.loads(version["tally-1.2.3.spdx.json"])
    assert sbom["spdxVersion"] == "SPDX-2.3" and sbom["creationInfo"]["created"] == "2023-11-14T22:13:20Z"
    packages = {package["SPDXID"]: package for package in sbom["packages"]}
    assert packages["SPDXRef-tally"]["checksums"] == [{"algorithm": "SHA256", "checksumValue": hashlib.sha256(version["tally-1.2.3.tar.gz"]).hexdigest()}]
    for relation in sbom["relationships"]:
        assert {relation["spdxElementId"], relation["relatedSpdxElement"]} <= set(packages) | {"SPDXRef-DOCUMENT"}, relation
    linked = {relation["relatedSpdxElement"] for relation in sbom["relationships"] if (relation["spdxElementId"], relation["relationshipType"]) == ("SPDXRef-tally", "DYNAMIC_LINK")}
    # dpkg says the same of a library that each program has, and the licence is the one of its copyright file.
    libc = packages["SPDXRef-debian-libc6"]
    assert libc["versionInfo"] == subprocess.run(["dpkg-query", "-W", "-f", "${Version}", "libc6"], stdout=subprocess.PIPE, text=True, check=True).stdout
    assert libc["SPDXID"] in linked
    linked_names = " ".join(packages[of]["name"] for of in linked)
    for name in ("libhiredis", "libevent", "libsodium", "libssl", "libcjson", "libcurl", "libgnutls", "libsystemd"):
        assert name in linked_names
    libraries = [package for of, package in packages.items() if of.startswith("SPDXRef-debian-")]
    assert {package["licenseDeclared"] for package in libraries if package["name"].startswith("libsodium")} == {"ISC"}
    for package in libraries:
        with open("/usr/share/doc/%s/copyright" % package["name"], errors="replace") as copyright_file:
            assert copyright_file.read(6) == "Format" or package["licenseDeclared"] == "NOASSERTION", package


def test_the_same_commit_gives_the_same_bytes(repository, version, tmp_path):
    other = tmp_path / "a folder with another name"
    shutil.copytree(repository, other, ignore=shutil.ignore_patterns("build"))
    for path, _folders, files in os.walk(other):
        for name in files:
            os.utime(os.path.join(path, name), (1, 1))
    assert _made(other, umask=0o077) == version


def test_the_callers_environment_does_not_reach_the_packages(tmp_path):
    """This script/package makes nothing, so that the next step finds no package."""
    project = _repository(tmp_path / "tally")
    (project / "script" / "package").write_text("#!/bin/bash\n[[ ! ${CFLAGS+set} && ! ${DEB_BUILD_OPTIONS+set} && $SOURCE_DATE_EPOCH && -d $TMPDIR ]]\n")
    _git(project, "commit", "-q", "-a", "-m", "x")
    done = subprocess.run([str(project / "script" / "release"), "1.2.3"], env=dict(os.environ, CFLAGS="-O0", DEB_BUILD_OPTIONS="noopt"), text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert done.returncode != 0 and "script/package failed" not in done.stderr and "/version/*.deb" in done.stderr, done.stderr


def test_the_sbom_names_only_the_package_that_is_missing(tmp_path):
    with open(os.path.join(ROOT, "script", "sbom")) as script:
        text = script.read()
    assert '"uthash-dev"' in text
    (tmp_path / "sbom").write_text(text.replace('"uthash-dev"', '"no-such-package"'))
    (tmp_path / "tally-1.2.3.tar.gz").write_text("")
    done = subprocess.run(["/usr/bin/python3", str(tmp_path / "sbom"), "1.2.3", str(tmp_path), "/bin/true"], env=dict(os.environ, SOURCE_DATE_EPOCH="1"), text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert done.returncode != 0 and done.stderr == "sbom: these Debian packages are not installed: no-such-package\n"
