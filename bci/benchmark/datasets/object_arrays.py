"""Arrays of objects in .npz files, read without running what they say.

NumPy stores such arrays as a pickle: a program that may call anything. Here it is not run.
Its instructions are read as data (`pickletools.genops`), and what makes lists, dicts, text,
numbers and plain NumPy arrays is followed; no function is looked up or called. Anything else
ends the reading with an error.
"""

from __future__ import annotations

import pickletools
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np

from bci.errors import SourceError

#: Plain types: booleans, numbers, bytes, text, and objects (which are of these kinds again).
_DTYPE = re.compile(r"[biufcSUO]\d*")
_ARRAY, _SCALAR, _TYPE, _NDARRAY = "array", "scalar", "dtype", "ndarray"
#: Names that arrays are written with, by older and newer versions.
_NAMES = {
    "numpy.core.multiarray _reconstruct": _ARRAY,
    "numpy._core.multiarray _reconstruct": _ARRAY,
    "numpy.core.multiarray scalar": _SCALAR,
    "numpy._core.multiarray scalar": _SCALAR,
    "numpy dtype": _TYPE,
    "numpy ndarray": _NDARRAY,
}
_LITERALS = frozenset(
    {"BININT", "BININT1", "BININT2", "INT", "LONG", "LONG1", "LONG4", "BINFLOAT", "FLOAT",
     "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "UNICODE",
     "BINBYTES", "SHORT_BINBYTES", "BINBYTES8"}
)  # fmt: skip
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_EMPTY: dict[str, Callable[[], Any]] = {
    "EMPTY_LIST": list, "EMPTY_DICT": dict, "EMPTY_TUPLE": tuple,
}  # fmt: skip
_N_OF_TUPLE = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


@dataclass(frozen=True)
class _Name:
    """What a name stands for; it is compared, never looked up."""

    what: str


@dataclass(eq=False)
class _Unbuilt:
    """An array or type before its contents are given."""

    code: str | None = None  # of a type


def read_objects(path: Path, name: str) -> Any:
    """Read an array of a .npz file, whatever it holds of the kinds above.

    Raises
    ------
    SourceError
        The file or the array is not there or damaged, or holds anything else.
    """
    try:
        with zipfile.ZipFile(path) as archive, archive.open(f"{name}.npy") as file:
            major = np.lib.format.read_magic(file)[0]
            read = getattr(np.lib.format, f"read_array_header_{major}_0")
            shape, _, dtype = read(file)
            if dtype.hasobject:
                found = _followed(file)
                if not isinstance(found, np.ndarray) or found.shape != shape:
                    raise ValueError("its header and its contents do not fit together")
                return found
        with np.load(path, allow_pickle=False) as arrays:
            return arrays[name]
    except SourceError as error:
        raise SourceError(f"{path}: {error}") from error
    except FileNotFoundError as error:
        raise SourceError(f"{path}: there is no such file") from error
    except Exception as error:  # zipfile, numpy and pickletools fail in many ways on damage
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SourceError(f"{path}: array '{name}' cannot be read: {reason}") from error


def _followed(file: IO[bytes]) -> Any:
    """What the instructions make."""
    stack: list[Any] = []
    marks: list[int] = []
    memo: dict[int, Any] = {}

    def since_mark() -> list[Any]:
        at = marks.pop()
        taken = stack[at:]
        del stack[at:]
        return taken

    argument: Any
    for code, argument, _ in pickletools.genops(file):
        what = code.name
        if what in ("PROTO", "FRAME"):
            continue
        if what == "STOP":
            return stack.pop()
        if what in _LITERALS:
            stack.append(argument)
        elif what in _CONSTANTS:
            stack.append(_CONSTANTS[what])
        elif what in _EMPTY:
            stack.append(_EMPTY[what]())
        elif what == "MARK":
            marks.append(len(stack))
        elif what in _N_OF_TUPLE:
            n = _N_OF_TUPLE[what]
            stack[-n:] = [tuple(stack[-n:])]
        elif what == "TUPLE":
            items = since_mark()
            stack.append(tuple(items))
        elif what in ("APPEND", "APPENDS"):
            items = since_mark() if what == "APPENDS" else [stack.pop()]
            _of(list, stack[-1]).extend(items)
        elif what in ("SETITEM", "SETITEMS"):
            items = since_mark() if what == "SETITEMS" else [stack.pop(-2), stack.pop()]
            _of(dict, stack[-1]).update(zip(items[::2], items[1::2], strict=True))
        elif what in ("BINPUT", "LONG_BINPUT", "MEMOIZE"):
            memo[len(memo) if argument is None else argument] = stack[-1]
        elif what in ("BINGET", "LONG_BINGET"):
            stack.append(memo[argument])
        elif what in ("GLOBAL", "STACK_GLOBAL"):
            named = argument if what == "GLOBAL" else " ".join([stack.pop(-2), stack.pop()])
            stack.append(_known(named))
        elif what == "REDUCE":
            arguments = stack.pop()
            stack[-1] = _begun(stack[-1], arguments)
        elif what == "BUILD":
            state, unbuilt = stack.pop(), _of(_Unbuilt, stack[-1])
            built = _built(unbuilt, state)
            stack[-1] = built
            for key in [key for key, value in memo.items() if value is unbuilt]:
                memo[key] = built
        else:
            raise SourceError(f"it holds '{what}', which no array of numbers and text needs")
    raise ValueError("it ends too early")


def _of(kind: type, value: Any) -> Any:
    if not isinstance(value, kind):
        raise ValueError("its instructions do not fit together")
    return value


def _known(name: str) -> _Name:
    if name not in _NAMES:
        raise SourceError(
            f"it asks for '{name.replace(' ', '.')}', and only arrays, numbers and text are read; "
            "such a file could run anything, so do not load it elsewhere unless you trust it"
        )
    return _Name(_NAMES[name])


def _begun(name: Any, arguments: Any) -> Any:
    what = _of(_Name, name).what
    if what == _ARRAY and arguments[0] == _Name(_NDARRAY):
        return _Unbuilt()
    if what == _TYPE:
        code = _of(str, arguments[0])
        if not _DTYPE.fullmatch(code):
            raise SourceError(f"it holds an array of type '{code}', which is not read")
        return _Unbuilt(code)
    if what == _SCALAR:
        dtype, raw = arguments
        return _plain(np.frombuffer(_of(bytes, raw), _of(np.dtype, dtype)))[0]
    raise ValueError("its instructions do not fit together")


def _built(unbuilt: _Unbuilt, state: tuple[Any, ...]) -> Any:
    if unbuilt.code is not None:
        order = _of(str, state[1])
        return np.dtype("O") if unbuilt.code[0] == "O" else np.dtype(order + unbuilt.code)
    _, shape, dtype, fortran, contents = state
    if _of(np.dtype, dtype).hasobject:
        array = np.empty(prod(shape), dtype=object)
        items = _of(list, contents)
        if len(items) != len(array):
            raise ValueError(f"an array of shape {shape} has {len(items)} items")
        for i, item in enumerate(items):
            array[i] = item
    else:
        array = _plain(np.frombuffer(_of(bytes, contents), dtype))
    return array.reshape(shape, order="F" if fortran else "C")


def _plain(array: Any) -> Any:
    if array.dtype.hasobject:
        raise ValueError("its instructions do not fit together")
    return array
