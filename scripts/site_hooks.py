"""What mkdocs makes the site of, beside what is written in docs/.

Files of the repository that are pages as well, and its figures, are brought in. A link to another
file of the repository becomes its name; one to what is not there is left, and the build warns of
it. Between `<!-- keys of the study file -->` or `<!-- help of the commands -->` and `<!-- end -->`
comes what hpmpi's own structs, keywords and parser say.
"""

import contextlib
import io
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_type_hints

import msgspec
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from hpmpi.cli.commands import COMMANDS
from hpmpi.cli.parser import parser
from hpmpi.study.command import ProgramArgs
from hpmpi.study.methods import SCHEDULER, SEARCHER, Role
from hpmpi.study.references import builtin
from hpmpi.study.settings import Settings
from hpmpi.trainables.options import Options

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
FIGURES = ROOT / "results" / "figures"

BROUGHT_IN = {
    ROOT / "README.md": "index.md",
    ROOT / "CHANGELOG.md": "changelog.md",
    ROOT / "CONTRIBUTING.md": "contributing.md",
    ROOT / "scripts" / "README.md": "measurements.md",
    ROOT / "slurm" / "README.md": "slurm.md",
    **{figure: f"figures/{figure.name}" for figure in sorted(FIGURES.iterdir())},
}
"""Files of the repository that are of the site, and what they are called there."""

CODE = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[([^\]]*)\]\(([^)#\s]+)(#[^)\s]*)?\)")
GENERATED = re.compile(
    r"<!-- (keys of the study file|help of the commands) -->.*?<!-- end -->", re.DOTALL
)
COLUMNS = "88"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Bring in what lies elsewhere."""
    for path, name in BROUGHT_IN.items():
        files.append(File.generated(config, name, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Turn links, outside of code, to where they lead on the site; put in what is generated."""
    folder = Path(str(page.file.abs_src_path)).parent
    written = GENERATED.sub(lambda found: GENERATORS[found[1]](), markdown)
    parts = CODE.split(written)
    parts[::2] = [LINK.sub(lambda found: turned(found, folder), part) for part in parts[::2]]
    return "".join(parts)


def turned(found: re.Match[str], folder: Path) -> str:
    """Turn one link of a file in a folder; all pages of the site lie in one folder."""
    text, target, anchor = found.groups(default="")
    path = (folder / target).resolve()
    if path in BROUGHT_IN:
        return f"[{text}]({BROUGHT_IN[path]}{anchor})"
    if path.parent == DOCS:
        return f"[{text}]({path.name}{anchor})"
    if "//" in target or not path.is_relative_to(ROOT) or not path.exists():
        return found[0]
    name = str(path.relative_to(ROOT))
    return f"`{name}`" if text.strip("`/") in name else f"{text} (`{name}`)"


def help_of_commands() -> str:
    """Have each command say what it takes."""
    os.environ["COLUMNS"] = COLUMNS
    return "\n\n".join(f"## hpmpi {name}\n\n```text\n{help_of(name)}```" for name in COMMANDS)


def help_of(name: str) -> str:
    """Have a command say what it takes."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        parser().parse_args([name, "--help"])
    return printed.getvalue()


def keys_of_the_study_file() -> str:
    """Say of each table of a study file what its keys take, and what they are if left out."""
    tables = [
        *tables_in(Settings, "the top level"),
        *tables_in(ProgramArgs, "`[objective_args]` of a `command`"),
        *tables_in(Options, "`[objective_args]` of `hpmpi.trainables`"),
        *tables_of(SEARCHER),
        *tables_of(SCHEDULER),
    ]
    return "\n\n".join(f"### {name[0].upper()}{name[1:]}\n\n{table(keys)}" for name, keys in tables)


def tables_in(kind: type[msgspec.Struct], name: str) -> Iterator[tuple[str, Any]]:
    """Find the keys of a struct, and of the structs that are tables in it."""
    schema = msgspec.json.schema(kind)
    waiting = [(name, schema)]
    while waiting:
        name, found = waiting.pop(0)
        kinds = [found, *found.get("anyOf", [])]
        references = [it["$ref"] for it in kinds if "$ref" in it]
        for reference in references:
            keys = schema["$defs"][reference.rpartition("/")[2]]["properties"]
            yield name, keys
            inside = "" if found is schema else name.strip("`[]") + "."
            waiting += [(f"`[{inside}{key}]`", it) for key, it in keys.items()]


def tables_of(role: Role) -> Iterator[tuple[str, Any]]:
    """Find the keywords of each searcher, or scheduler, that is built in."""
    for method in builtin(role.package):
        kind = role.find(method)
        hints = get_type_hints(kind.__init__, include_extras=True)  # type: ignore[misc]
        properties = {
            name: msgspec.json.schema(hints[name])
            | ({} if it.default is it.empty else {"default": it.default})
            for name, it in role.keywords(kind).items()
        }
        if properties:
            yield f'`[{role.table}] method = "{method}"`', properties


def table(keys: Mapping[str, Any]) -> str:
    """Write a table of keys, by what JSON schemas say of them."""
    rows = [f"| `{key}` | {taken(it)} | {default(key, it)} |" for key, it in keys.items()]
    return "\n".join(["| key | takes | if left out |", "|---|---|---|", *rows])


def default(key: str, schema: Any) -> str:
    """Say what a key is if it is left out."""
    if "default" not in schema:
        return "the file's name" if key == "name" else "must be given"
    value = schema["default"]
    is_said = value is not None and not isinstance(value, dict | list)
    return f"`{msgspec.json.encode(value).decode()}`" if is_said else ""


def taken(schema: Any) -> str:
    """Say in words what a JSON schema takes."""
    match schema:
        case {"anyOf": kinds}:
            return " or ".join(taken(kind) for kind in kinds if kind != {"type": "null"})
        case {"enum": words}:
            return ", ".join(f'`"{word}"`' for word in words if word is not None)
        case {"type": "array", "items": items}:
            return f"a list of: {taken(items)}"
        case {"type": "integer" | "number" as kind}:
            return " ".join([NUMBERS[kind], *bounds(schema)])
    return WORDS.get(schema.get("type"), "a table")


def bounds(schema: Any) -> list[str]:
    """Say between what a number must be."""
    return [f"{sign} {schema[key]:g}" for key, sign in BOUNDS.items() if key in schema]


NUMBERS = {"integer": "a whole number", "number": "a number"}
WORDS = {"string": "a text", "boolean": "true or false", "array": "a list"}
BOUNDS = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}

GENERATORS = {
    "keys of the study file": keys_of_the_study_file,
    "help of the commands": help_of_commands,
}
