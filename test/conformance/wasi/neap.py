"""Adapter for the runner of WebAssembly/wasi-testsuite: how it starts a program with `neap run`.

The runner calls the functions of this file. It takes a file that says something when it is run with --version for one of its earlier
interface, and refuses it; neap_command.py has that one. NEAP is the command to start instead of this checkout's.
"""

import json
import os
import shlex
from pathlib import Path
from typing import Dict, List

ROOT = Path(__file__).resolve().parents[3]


def command_line(test_path: str, args: List[str], env: Dict[str, str], dirs: List[str]) -> List[str]:
    given = os.environ.get("NEAP")
    argv = shlex.split(given) if given else [str(ROOT / "node_modules" / ".bin" / "node"), str(ROOT / "host" / "cli" / "neap.ts")]
    argv.append("run")
    for name, value in env.items():
        argv += ["--env", f"{name}={value}"]
    for folder in dirs:
        argv += ["--dir", folder]
    return argv + [str(test_path)] + args


def get_name() -> str:
    return "neap"


def get_version() -> str:
    with open(ROOT / "package.json", encoding="utf-8") as file:
        return json.load(file)["version"]


def get_wasi_versions() -> List[str]:
    return ["wasm32-wasip1"]


def get_wasi_worlds() -> List[str]:
    return ["wasi:cli/command"]


def compute_argv(test_path: str, args_env_dirs, *_proposals_world_and_version) -> List[str]:
    """The third of `args_env_dirs` is the folder to be "/", or pairs of folder and name."""
    args, env, dirs = args_env_dirs
    if dirs is None:
        mapped = []
    elif isinstance(dirs, (str, os.PathLike)):
        mapped = [f"{dirs}::/"]
    else:
        mapped = [f"{host}::{guest}" for host, guest in dirs]
    return command_line(test_path, list(args), dict(env), mapped)
