"""What a launcher is told in the name of a rank that has ended, in its own protocol."""

import ctypes
import os


def to_hydra(code: int, *, aborts: bool) -> None:
    """Finalize, or abort with a code; what dies without a word loses its code, and has a banner."""
    wire = int(os.environ["PMI_FD"])
    os.write(wire, f"cmd=abort exitcode={code}\n".encode() if aborts else b"cmd=finalize\n")
    os.read(wire, 1024)


def to_pmix(library: str, code: int) -> None:
    """Finalize, or abort with a code: without a banner (Open MPI 4), or with a smaller one (5)."""
    pmix, none = ctypes.CDLL(library), ctypes.c_size_t(0)
    pmix.PMIx_Init(ctypes.create_string_buffer(1024), None, none)
    if code:
        pmix.PMIx_Abort(code, b"", None, none)
    else:
        pmix.PMIx_Finalize(None, none)
