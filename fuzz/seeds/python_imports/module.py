"""A module."""
from __future__ import annotations
import os, sys as system
from typing import TYPE_CHECKING
from . import sibling
from ..parent import name as other
if TYPE_CHECKING:
    import numpy
try:
    import tomllib
except ImportError:
    tomllib = None
__all__ = ["run"]
def run():
    import importlib
    return importlib.import_module("json.decoder")
class A:
    import re
run()
