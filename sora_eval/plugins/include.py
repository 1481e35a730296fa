"""Folders of --include DIR: plug-ins that are not installed.

- DIR is put at the end of Python's module search path: modules in it can be named (`generator.target=my_model:generate`), and packages
  that were installed there (`pip install --target DIR`) are found.
- DIR/conf is searched for entries of configuration groups: DIR/conf/generator/mine.yaml is generator=mine.
- DIR/sora_eval_plugin.py is imported; it may declare plug-ins in dicts that have the names of the entry points' groups:

      generators = {"tiny": TinyGenerator}

The folders stand in an environment variable, for worker processes and the jobs of a sweep need them too.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

from sora_eval.errors import ConfigError

VARIABLE = "SORA_EVAL_INCLUDE"
MODULE = "sora_eval_plugin"


def include(folder: str) -> None:
    """Add a folder of plug-ins.

    Raises:
        ConfigError: there is no such folder, or its plug-in module can't be imported.
    """
    path = Path(folder).absolute()
    if not path.is_dir():
        raise ConfigError(f"--include {folder}: no such folder")
    if os.pathsep in str(path):
        raise ConfigError(f"--include {folder}: a '{os.pathsep}' in its path separates folders; rename it")
    os.environ[VARIABLE] = os.pathsep.join(dict.fromkeys([*folders(), str(path)]))
    module()


def folders() -> tuple[str, ...]:
    """Return the included folders."""
    return tuple(f for f in os.environ.get(VARIABLE, "").split(os.pathsep) if f)


def configurations() -> list[Path]:
    """Return the included folders of configuration groups."""
    return [conf for folder in folders() if (conf := Path(folder) / "conf").is_dir()]


def activate() -> None:
    """Put the included folders on the module search path."""
    sys.path += [folder for folder in folders() if folder not in sys.path]


def module() -> ModuleType | None:
    """Return the plug-in module of the included folders, None where there is none.

    Raises:
        ConfigError: two folders have one, or it can't be imported.
    """
    files = [file for folder in folders() if (file := Path(folder) / f"{MODULE}.py").is_file()]
    if not files:
        return None
    if len(files) > 1:
        raise ConfigError(f"--include: {files[0]} and {files[1]} have one name; rename one and import it in the other")
    activate()
    try:
        imported = import_module(MODULE)
    except (Exception, SystemExit) as error:  # importing runs the user's code
        raise ConfigError(f"{files[0]} can't be imported ({type(error).__name__}: {error})") from error
    if imported.__file__ is None or not Path(imported.__file__).samefile(files[0]):
        raise ConfigError(f"--include: {imported.__file__} has the name of {files[0]} and comes before it; rename one")
    return imported
