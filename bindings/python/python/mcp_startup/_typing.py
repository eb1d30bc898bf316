"""`Self` of every supported version of Python. `typing.get_type_hints` finds it too."""

from __future__ import annotations

import sys
import typing

if typing.TYPE_CHECKING:
    from typing_extensions import Self as Self
elif sys.version_info >= (3, 11):
    from typing import Self as Self
else:
    Self = typing.TypeVar("Self")
