"""The same for the runner as it was before: it starts this file as a command, as its doc/adapters.md then described."""

import argparse
import os
import sys

# The runner may not write beside the adapter.
sys.dont_write_bytecode = True

import neap  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--version", action="store_true")
    parser.add_argument("--test-file")
    parser.add_argument("--arg", action="append", default=[])
    parser.add_argument("--env", action="append", default=[])
    parser.add_argument("--dir", action="append", default=[])
    given = parser.parse_args()
    if given.version:
        print(neap.get_name(), neap.get_version())
        return
    env = dict(one.split("=", 1) for one in given.env)
    argv = neap.command_line(given.test_file, given.arg, env, given.dir)
    # In place of this process, so that a signal of the runner ends the program.
    os.execvp(argv[0], argv)


if __name__ == "__main__":
    main()
