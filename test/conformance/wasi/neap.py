"""Adapter for the runner of WebAssembly/wasi-testsuite: how it starts a program with `neap run`.

The runner has had two interfaces: it calls the functions of this file, or, before that, this file as a command. Both are described in
the suite's doc/adapters.md. NEAP is the command to start instead of this checkout's.
"""

import argparse
import json
import os
import shlex
from pathlib import Path
from typing import Dict, List

ROOT = Path(__file__).resolve().parents[3]


def _command() -> List[str]:
    given = os.environ.get("NEAP")
    if given:
        return shlex.split(given)
    return [str(ROOT / "node_modules" / ".bin" / "node"), str(ROOT / "host" / "cli" / "neap.ts")]


def _argv(test_path: str, args: List[str], env: Dict[str, str], dirs: List[str]) -> List[str]:
    argv = _command() + ["run"]
    for name, value in env.items():
        argv += ["--env", f"{name}={value}"]
    for folder in dirs:
        argv += ["--dir", folder]
    return argv + [test_path] + args


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
    return _argv(test_path, list(args), dict(env), mapped)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--version", action="store_true")
    parser.add_argument("--test-file")
    parser.add_argument("--arg", action="append", default=[])
    parser.add_argument("--env", action="append", default=[])
    parser.add_argument("--dir", action="append", default=[])
    given = parser.parse_args()
    if given.version:
        print(get_name(), get_version())
        return
    env = dict(one.split("=", 1) for one in given.env)
    argv = _argv(given.test_file, given.arg, env, given.dir)
    # In place of this process, so that a signal of the runner ends the program.
    os.execvp(argv[0], argv)


if __name__ == "__main__":
    main()
