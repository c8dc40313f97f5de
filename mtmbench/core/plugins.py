"""Plugins that are not installed: files and modules whose import registers something."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path

from mtmbench.core.errors import InputError
from mtmbench.core.registry import PluginError


def load_plugins(plugins: Sequence[str]) -> None:
    """Imports each plugin once: a path to a ``.py`` file, or a module's name.

    Raises:
        InputError: there is no such file.
        PluginError: the import fails; the message carries the cause.
    """
    for plugin in plugins:
        try:
            if plugin.endswith(".py"):
                _import_file(Path(plugin))
            else:
                importlib.import_module(plugin)
        except InputError:
            raise
        except Exception as error:
            raise PluginError(f"plugin {plugin!r} cannot be imported: {error}") from error


def _import_file(path: Path) -> None:
    if not path.is_file():
        raise InputError(f"there is no plugin file {path}")
    # Named after the file, so that parent and workers give its classes the same origin.
    name = f"mtmbench_plugin_{path.stem}"
    if name in sys.modules or _is_imported(path):
        return
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise InputError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise


def _is_imported(path: Path) -> bool:
    # What registers once must not do so again because a notebook has already imported the file.
    file = path.resolve()
    found = (getattr(module, "__file__", None) for module in list(sys.modules.values()))
    return any(
        name is not None and Path(name).name == file.name and Path(name).resolve() == file
        for name in found
    )
