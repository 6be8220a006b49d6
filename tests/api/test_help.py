"""What the package shows of itself to who calls it."""

import pydoc
import subprocess
import sys

import hpmpi


def test_help_is_what_may_be_called() -> None:
    said = pydoc.plain(pydoc.render_doc(hpmpi))
    functions = said.partition("FUNCTIONS")[2].partition("DATA")[0]
    named = [line.split("(")[0].strip() for line in functions.splitlines() if "(" in line[:20]]
    assert [name for name in named if name in hpmpi.__all__] == ["load", "run", "submit"]
    assert "program(" not in functions
    for name in hpmpi.__all__:
        assert name in (hpmpi.__doc__ or "")
        assert getattr(hpmpi, name).__doc__


def test_what_may_be_called_is_imported_when_it_is_named() -> None:
    heavy = "{'numpy', 'pandas', 'msgspec', 'h5py', 'argparse', 'socket'}"
    program = f"import sys, hpmpi; dir(hpmpi); assert not {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
    light = "import sys, hpmpi; hpmpi.HpmpiError; assert 'pandas' not in sys.modules"
    subprocess.run([sys.executable, "-c", light], check=True)
