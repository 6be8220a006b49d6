"""The study file, checked: one TOML file becomes frozen data, or a list of its mistakes."""
