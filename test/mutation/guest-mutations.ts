/** Defects of what guests import, and of typed entry points. */
import type { Mutation } from "./mutations.ts";

const INVOCATION = "test/unit/host/invocation";
const WASI = "test/unit/host/abi/wasi";
const FAASM = "test/unit/host/abi/faasm";
const CHECKED = `${INVOCATION}/checked-calls.test.ts`;

export const guestMutations: readonly Mutation[] = [
  // The host's own imports
  {
    name: "an import asks the host before it looks where its answer goes",
    file: "host/abi/log.ts",
    find: "headPointer, HEAD_BYTES);",
    replace: "0, HEAD_BYTES);",
    caughtBy: ["test/unit/host/abi/ranges.test.ts", "head"],
  },
  {
    name: "the name of a lock may be anything",
    file: "host/abi/locks.ts",
    find: "    return name ?? GuestError.invalid;",
    replace: '    return name ?? "";',
    caughtBy: ["test/unit/host/abi/locks.test.ts", "what no lock can be called"],
  },
  {
    name: "region bytes are pushed to any place of an object",
    file: "host/abi/regions.ts",
    find: "if (key === null || at < 0n || at > BigInt(MAX_SEQNUM)) {\n      return GuestError.invalid;",
    replace: "if (key === null) {\n      return GuestError.invalid;",
    caughtBy: ["test/unit/host/abi/regions.test.ts", "places that no object has"],
  },
  // WASI, and Faasm
  {
    name: "a path may lead above the folder it is looked up in",
    file: "host/abi/wasi/path.ts",
    find: '      (stack.pop() ?? fail("notcapable")).release();',
    replace: "      stack.pop()?.release();",
    caughtBy: [`${WASI}/files.test.ts`, "a walk never leaves"],
  },
  {
    name: "a range of WASI may end one byte behind the memory",
    file: "host/abi/wasi/memory.ts",
    find: "return end > bytes.byteLength ?",
    replace: "return end > bytes.byteLength + 1 ?",
    caughtBy: [`${WASI}/arguments.test.ts`, "nothing has happened then"],
  },
  {
    name: "an absolute link is followed below the folder",
    file: "host/abi/wasi/path.ts",
    find: '      if (target.startsWith("/")) {\n        fail("notcapable");\n      }\n',
    replace: "",
    caughtBy: ["test/unit/host/cli/host-files.test.ts", "is not left by"],
  },
  {
    name: "a folder of the machine is looked up by its path",
    file: "host/cli/host-files.ts",
    find: "return HAS_PROC && this.fd !== undefined",
    replace: "return HAS_PROC && this.fd === -1",
    caughtBy: ["test/unit/host/cli/host-files.test.ts", "a folder is moved away"],
  },
  {
    name: "rights that a folder does not pass on are granted",
    file: "host/abi/wasi/paths.ts",
    find: 'return (passed & ~descriptor.inheriting) !== 0 ? fail("notcapable") : folder;',
    replace: "return passed < 0 ? folder : folder;",
    caughtBy: [`${WASI}/files.test.ts`, "rights"],
  },
  {
    name: "H15: descriptors and files stay behind when a part is shipped",
    file: "host/sandbox/executor/guest-call.ts",
    find: "    this.files = files.byteLength === 0 ? null : files;",
    replace: "    this.files = null;",
    caughtBy: [`${WASI}/scratch.test.ts`, "H15"],
  },
  {
    name: "F13: files that have travelled count questions of the clock",
    file: "host/abi/wasi/files-codec.ts",
    find: "  file.fill(r.bytes());",
    replace: "  file.write(r.bytes(), 0);",
    caughtBy: [`${WASI}/scratch.test.ts`, "H15"],
  },
  {
    name: "F22: what an import was answered is kept for the next one",
    file: "host/abi/wasi/asks.ts",
    find: "      this.#answers.clear();",
    replace: "      this.#answers.delete(first.question);",
    caughtBy: [`${WASI}/shared.test.ts`, "faasm"],
  },
  {
    name: "a file that is read in pieces is made of two versions",
    file: "host/abi/wasi/shared-files.ts",
    find: "found !== version || slice.byteLength === 0",
    replace: "slice.byteLength === 0",
    caughtBy: [`${WASI}/shared.test.ts`, "one version"],
  },
  {
    name: "F21: a storage part elsewhere cannot look for shared files",
    file: "host/invocation/part-host.ts",
    find: "        files.perform(operation, args) ??\n",
    replace: "",
    caughtBy: [`${INVOCATION}/shared-files.test.ts`, "F21"],
  },
  {
    name: "F14: a shared file is overwritten with a part of the version before",
    file: "host/abi/wasi/shared-folder.ts",
    find: "    this.madeFrom = base?.version ?? this.madeFrom;",
    replace: "    this.madeFrom = base === null ? null : null;",
    caughtBy: [`${WASI}/shared.test.ts`, "replaced since"],
  },
  {
    name: "F22: a sleep until a moment depends on how often the time was asked for",
    file: "host/abi/wasi/poll.ts",
    find: "timeoutNs - world.timeNs(clock)",
    replace: "timeoutNs - world.nowNs(clock)",
    caughtBy: [`${WASI}/process.test.ts`, "F22"],
  },
  {
    name: "H19: an object that a part has mapped stays behind it",
    file: "host/sandbox/executor/mappings.ts",
    find: "    this.#release(memory, ofPart);",
    replace: "",
    caughtBy: [`${FAASM}/ndp.test.ts`, "H19"],
  },
  {
    name: "H22: a push of state writes the whole copy over what others have written",
    file: "host/abi/faasm/local-state.ts",
    find: "      return value.mergedInto(bytes);",
    replace: "      return value.bytes;",
    caughtBy: [`${FAASM}/state.test.ts`, "H22"],
  },
  {
    name: "H22: what was written through a pointer is lost when it was not flagged",
    file: "host/abi/faasm/local-state.ts",
    find: "    value.collect(guest.memory());\n    if (!value.isDirty) {",
    replace: "    if (!value.isDirty) {",
    caughtBy: [`${FAASM}/state.test.ts`, "H22"],
  },

  // Typed entry points
  {
    name: "0039: arguments are not checked before the call begins",
    file: "host/invocation/call-intake.ts",
    find: "      await check(artefact);",
    replace: "      void check;",
    caughtBy: [CHECKED, "nothing in the log"],
  },
  {
    name: "0039: a duplicate is refused for what the function takes now",
    file: "host/invocation/call-intake.ts",
    find: "      const tag = keyTagOf(request);",
    replace: "      const tag = [request].length === 0 ? keyTagOf(request) : null;",
    caughtBy: [CHECKED, "F20"],
  },
  {
    name: "0039: an artefact says of its entry points what the rewriting has left",
    file: "host/modules/preparation.ts",
    find: "  const entryPoints = entryPointsSection(shapeBefore);",
    replace: "  const entryPoints = entryPointsSection(shape);",
    caughtBy: ["test/unit/host/modules/entry-points/check-module.test.ts", "keeps what it says"],
  },
  {
    name: "0039: the key of an entry point may be one of its function",
    file: "state/tags.ts",
    find: '.replace("/", ":")',
    replace: "",
    caughtBy: [CHECKED, "F30"],
  },
];
