"""The study of a journal, as it ran last: its settings, its goal, its space."""

from functools import cached_property

from hpmpi.errors import ReplayError, SettingsError
from hpmpi.model.space import Space
from hpmpi.model.trial import Goal
from hpmpi.study import settings
from hpmpi.study.settings import Settings
from hpmpi.study.space_table import make_space


class Studied:
    """What the settings in the journal say, read when somebody asks."""

    def __init__(self, text: str) -> None:
        """Have the settings as TOML text."""
        self._text = text

    @cached_property
    def study(self) -> Settings:
        """The settings; raises ReplayError where they can't be read."""
        try:
            return settings.parse(self._text)
        except SettingsError as error:
            raise ReplayError(f"the settings in the journal are damaged: {error}") from error

    @cached_property
    def goal(self) -> Goal:
        """What is studied."""
        return self.study.goal

    @cached_property
    def space(self) -> Space:
        """What is tuned, for its names; empty where the settings are those of another version."""
        return make_space(self.study.space, []) or Space({})
