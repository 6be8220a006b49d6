"""A page from its template: HTML with its style, script and figures in it, and no link out of it.

Whatever comes from a study or an error is text: the template escapes all but our own files and the
figures, and the browser is told to run no script but ours.
"""

from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import msgspec

from hpmpi import __version__
from hpmpi.errors import HpmpiError
from hpmpi.storage import files
from hpmpi.views.report.told import Told, tell

try:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    from hpmpi.views.figures.run import Run
    from hpmpi.views.plot import look, named
    from hpmpi.views.report.drawings import Drawing, comparisons, drawings
except ImportError as error:
    needs = f"report needs jinja2 and matplotlib ({error}): pip install 'hpmpi[plot]'"
    raise HpmpiError(needs) from error

FILE = "report.html"
"""Where a page goes, in the folder of its run, or here for several."""

HERE = Path(__file__).parent


class Chapter(msgspec.Struct, frozen=True):
    """A run on a page: what is told of it, and its figures."""

    told: Told
    drawings: list[Drawing]


def write(folders: Sequence[Path], out: Path | None = None) -> Path:
    """Write the page of runs; return the file.

    Raises StoreError for a folder that is no run's, and where the file can't be written.
    """
    runs = [look(folder, name) for name, folder in named(folders).items()]
    text = render(runs, list(named(folders).values()))
    file = out or (Path(FILE) if len(runs) > 1 else folders[0] / FILE)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        files.replace(file, text.encode())
    except OSError as error:
        raise files.trouble(file, error) from error
    return file


def render(runs: Sequence[Run], folders: Sequence[Path]) -> str:
    """Write the page of runs as text."""
    chapters = [
        Chapter(tell(run.summary, folder), drawings(run, place))
        for place, (run, folder) in enumerate(zip(runs, folders, strict=True))
    ]
    style, script = ((HERE / name).read_text() for name in ("page.css", "page.js"))
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html").render(
        chapters=chapters,
        compared=list(comparisons([*runs])),
        style=style,
        script=script,
        script_hash=b64encode(sha256(script.encode()).digest()).decode(),
        version=__version__,
    )
