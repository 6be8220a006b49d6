"""A program in C, and studies that name it as their command."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.harness.runs import Study

CC = shutil.which("cc")
needs_cc = pytest.mark.skipif(CC is None, reason="no C compiler here")

FIT = r"""
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static volatile sig_atomic_t told;
static char **words;

static void hear(int number) { told = number; }

static const char *option(const char *name, const char *otherwise) {
    for (char **word = words; *word && word[1]; word++)
        if (!strcmp(*word, name)) return word[1];
    return otherwise;
}

static void put(const char *folder, const char *name, int epoch) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    fprintf(file, "%d\n", epoch);
    fclose(file);
}

int main(int count, char **given) {
    words = given;
    double x = atof(option("--x", "0"));
    int stop = atoi(option("--epochs", "1")), epoch = 0;
    const char *out = option("--out", NULL), *resume = option("--resume", NULL);
    const char *log = option("--log", NULL), *how = option("--how", "well");
    signal(SIGTERM, hear);
    if (resume) {
        FILE *file = fopen(resume, "r");
        if (!file || fscanf(file, "%d", &epoch) != 1) return 9;
    }
    if (!strcmp(how, "crash")) raise(SIGSEGV);
    if (!strcmp(how, "exit")) return fprintf(stderr, "negative rate\n"), 3;
    while (!strcmp(how, "hang")) pause();
    while (!strcmp(how, "eat")) memset(malloc(1 << 22), 1, 1 << 22), usleep(1000);
    while (epoch < stop && !told) {
        usleep(atoi(option("--epoch-us", "0")));
        epoch++;
        printf("{\"epoch\": %d, \"loss\": %g}\n", epoch, x + 1.0 / epoch);
        fflush(stdout);
        if (log) {
            FILE *file = fopen(log, "a");
            fprintf(file, "%s %d\n", option("--trial", "0"), epoch);
            fclose(file);
        }
    }
    if (out) put(out, "state", epoch), put(out, "saved", epoch);
    return 0;
}
"""
"""It trains to --epochs, and saves its epoch, then and when TERM comes; or does as --how says."""

STUDY = """
command = [
    "./fit", "--x", "{{x}}", "--epochs", "{{stop}}", "--out", "{{folder}}", "--trial", "{{trial}}",
    "--log", "{log}", "--epoch-us", "{epoch_us}",
]
resume = ["--resume", "{{previous}}/state"]
metric = "loss"

[space]
x = {{ type = "float", low = 0.0, high = 1.0 }}

[scheduler]
method = "asha"
max_resource = 9

[stop]
max_trials = 12

[limits]
patience_s = 1.5

[objective_args]
saved = "saved"
"""


def compiled(folder: Path) -> Path:
    """Compile it into a folder; return the program."""
    assert CC is not None, "who needs it says so"
    source, program = folder / "fit.c", folder / "fit"
    source.write_text(FIT)
    subprocess.run([CC, "-o", program, source], check=True)
    return program


class ProgramStudy(Study):
    """A study whose command it is."""

    def __init__(self, folder: Path, epoch_s: float = 0.0) -> None:
        """Write the files."""
        super().__init__(folder)
        compiled(folder)
        self.file.write_text(STUDY.format(log=self.log, epoch_us=round(epoch_s * 1e6)))
