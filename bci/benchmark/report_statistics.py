"""What a report needs of a comparison between pipelines, whoever computed it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
