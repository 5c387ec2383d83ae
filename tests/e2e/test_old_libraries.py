"""Libraries of Debian 12 that lack the functions which only a security update brought.

A machine may build with the one and run with the other, so each build runs with both.
"""

import os
import pathlib
import subprocess

import pytest

from harness import ROOT

EXPAT = ("libexpat.so.1", "expat.h", "XML_SetReparseDeferralEnabled")
NGHTTP2 = ("libnghttp2.so.14", "nghttp2/nghttp2.h", "nghttp2_option_set_stream_reset_rate_limit")
COMPILE = ["cc", "-std=gnu11", "-O1", "-Wall", "-Werror", "-D_GNU_SOURCE", f"-I{ROOT}"]
SOURCES = ["tests/e2e/reader.c", "xmppgw/xmpp/xml.c", "xmppgw/xmpp/skip.c",
           "common/base/arena.c", "common/base/buf.c",
           "common/base/log.c", "common/base/mem.c", "common/base/panic.c"]


def done(*words, **environment):
    """Runs a command that must succeed; what it wrote."""
    words = [str(word) for word in words]
    ran = subprocess.run(words, capture_output=True, text=True, env={**os.environ, **environment})
    assert ran.returncode == 0, f"{words}: {ran.returncode}\n{ran.stdout}\n{ran.stderr}"
    return ran.stdout + ran.stderr


def make_old(folder, library, header, function):
    """A header and a library in FOLDER in which FUNCTION has another name.

    An expat that is made so may defer all the same: what it is to read must come whole.
    """
    path = folder / "empty.c"
    path.write_text(f"#include <{header}>\n")
    headers = done("cc", "-M", path).replace("\\\n", " ").split()
    found = {header: next(path for path in headers if path.endswith("/" + header)),
             library: done("cc", f"-print-file-name={library}").strip()}
    for name, source in found.items():
        data = pathlib.Path(source).read_bytes()
        assert data
        (folder / name).parent.mkdir(exist_ok=True)
        other = function[:-1] + "_"
        (folder / name).write_bytes(data.replace(function.encode(), other.encode()))
    assert function not in done("nm", "-D", folder / library)
    return folder


@pytest.fixture(scope="module")
def expats(tmp_path_factory):
    """Two folders: an expat that lacks the function, and one that has it."""
    old, new = tmp_path_factory.mktemp("old"), tmp_path_factory.mktemp("new")
    make_old(old, *EXPAT)
    declaration = "XMLPARSEAPI(XML_Bool) XML_SetReparseDeferralEnabled(XML_Parser, XML_Bool);\n"
    (new / "expat.h").write_text("#include_next <expat.h>\n" + declaration)
    done("cc", "-shared", "-fPIC", "-o", new / "deferral.so", ROOT / "tests/e2e/deferral.c")
    return old, new


@pytest.mark.parametrize("built_with", ["old", "new"])
def test_stanzas_are_read_with_an_old_and_a_new_expat(expats, tmp_path, built_with):
    old, new = expats
    program, libraries = tmp_path / "reader", [old / EXPAT[0]]
    if built_with == "new":
        libraries.insert(0, new / "deferral.so")
    done(*COMPILE, f"-I{old if built_with == 'old' else new}", "-o", program, "-pie", "-fPIE",
         *(ROOT / source for source in SOURCES), "-Wl,-z,now,--as-needed", *libraries)
    assert done(program, LD_LIBRARY_PATH=str(old)) == "read=iq\n"
    told = done(program, LD_PRELOAD=str(new / "deferral.so"))
    assert told == "read=iq\ndeferral=0\n"


def test_the_pretend_providers_build_with_an_old_nghttp2(tmp_path):
    make_old(tmp_path, *NGHTTP2)
    session = tmp_path / "session.o"
    done(*COMPILE, f"-I{tmp_path}", "-c", "-o", session, ROOT / "tests/fakes/session.c")
    assert f" w {NGHTTP2[2]}\n" in done("nm", session)


@pytest.mark.parametrize("library, name, option", [
    (EXPAT, "xmppgw", "-h"),
    (NGHTTP2, "providers", "--help"),
], ids=["xmppgw", "providers"])
def test_what_was_built_here_starts_with_an_old_library(stage, tmp_path, library, name, option):
    old, program = make_old(tmp_path, *library), stage.binary(name)
    assert str(old) in done("ldd", program, LD_LIBRARY_PATH=str(old))
    done(program, option, LD_LIBRARY_PATH=str(old))
