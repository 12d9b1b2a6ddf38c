"""Compiles what the API, its clerk and the tiles import at their start; of everything it would be too much."""

import importlib
import py_compile
import sys

for name in ("api.app", "api.commands.serve", "api.database.postgis", "api.engines.argo", "steps.clerk", "tiler.app"):
    importlib.import_module(name)
for module in list(sys.modules.values()):
    file = getattr(module, "__file__", None) or ""
    if file.startswith(sys.prefix) and file.endswith(".py"):
        py_compile.compile(file, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH, doraise=True)
