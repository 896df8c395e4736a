/** Imports: side modules. A call opens them from the tenant's shared files. See docs/decisions/0042-side-modules.md. */
import { isObjectKey } from "../../../state/ids.ts";
import { WASM_PAGE_BYTES } from "../../modules/artefact.ts";
import { SIDE_MODULE_MAX_BYTES } from "../../modules/side-modules/index.ts";
import { type Guest, GuestFault, type GuestSideModules, SideModuleRefused } from "../../sandbox/guest.ts";
import { FILES_PREFIX } from "../file-messages.ts";
import { guestBytes } from "../guest-memory.ts";
import { GuestError, Operation, sideModuleOpenArgs, sideModuleReadArgs } from "../operations.ts";
import { request } from "../requests.ts";
import { cText } from "./text.ts";

const FAILED = 0;
const PATH_MAX_BYTES = 4096;
const SYMBOL_MAX_BYTES = 4096;
const SHARED_PREFIX = "faasm://";

const WHY: Readonly<Record<number, string>> = {
  [GuestError.notFound]: "there is no shared file of this name",
  [GuestError.tooLarge]: `a side module has at most ${SIDE_MODULE_MAX_BYTES} bytes`,
  [GuestError.conflict]: "another call has replaced it meanwhile",
};

export const dynamicLinking = (guest: Guest) => {
  /** What the next dlerror says. A call that has any of this has its imports for itself, as its sandbox ends with it. */
  let complaint: string | null = null;
  /** A page for it; 0: there is none yet. */
  let textPointer = 0;

  /** @throws GuestFault  in a storage part, which may be elsewhere, where what it does to the table would stay */
  const used = (what: string): GuestSideModules => {
    const { sideModules, call } = guest;
    if (sideModules === null || (call.inPart && !sideModules.isUsed)) {
      throw new GuestFault(`${what}: a call cannot begin to use side modules inside of a storage part`);
    }
    sideModules.isUsed = true;
    return sideModules;
  };

  /** @returns what `run` does, or 0 when it is refused */
  const orComplain = <T>(what: string, run: () => T): T | typeof FAILED => {
    try {
      return run();
    } catch (error) {
      return complain(what, error);
    }
  };
  const complain = (what: string, error: unknown): typeof FAILED => {
    if (!(error instanceof SideModuleRefused)) {
      throw error;
    }
    complaint = `${what}: ${error.message}`;
    return FAILED;
  };

  async function open(sideModules: GuestSideModules, path: string): Promise<number> {
    if (!isObjectKey(FILES_PREFIX + path)) {
      throw new SideModuleRefused("it is no name of a shared file");
    }
    const { code, bytes } = await request(guest, Operation.sideModuleOpen, sideModuleOpenArgs.encode(path));
    if (code < 0) {
      throw new SideModuleRefused(WHY[code] ?? `it cannot be read (${code})`);
    }
    const encoded = new Uint8Array(code);
    encoded.set(bytes);
    for (let at = bytes.byteLength; at < code; ) {
      const slice = await request(guest, Operation.sideModuleRead, sideModuleReadArgs.encode(at));
      encoded.set(slice.bytes, at);
      at += slice.bytes.byteLength;
    }
    return sideModules.open(path, encoded);
  }

  return {
    "env.dlopen": (pathPointer: number, _flags: number): number | Promise<number> => {
      const sideModules = used("dlopen");
      if (pathPointer === 0) {
        return sideModules.mainHandle;
      }
      const given = cText(guest, "dlopen: path", pathPointer, PATH_MAX_BYTES);
      const path = sharedPath(given);
      const what = `dlopen ${given}`;
      return sideModules.reopen(path) || open(sideModules, path).catch((error: unknown) => complain(what, error));
    },

    "env.dlsym": (handle: number, namePointer: number): number => {
      const sideModules = used("dlsym");
      const name = cText(guest, "dlsym: name", namePointer, SYMBOL_MAX_BYTES);
      return orComplain(`dlsym ${name}`, () => sideModules.address(handle, name));
    },

    "env.dlclose": (handle: number): number => {
      const sideModules = used("dlclose");
      const closed = orComplain("dlclose", () => {
        sideModules.close(handle);
        return true;
      });
      return closed === true ? 0 : -1;
    },

    "env.dlerror": (): number => {
      const text = complaint;
      complaint = null;
      if (text === null) {
        return 0;
      }
      if (textPointer === 0) {
        const page = guest.grow(1);
        if (page < 0) {
          return 0;
        }
        textPointer = page * WASM_PAGE_BYTES;
      }
      const bytes = Buffer.from(text).subarray(0, WASM_PAGE_BYTES - 1);
      const room = guestBytes(guest, "dlerror", textPointer, bytes.byteLength + 1);
      room.set(bytes);
      room[bytes.byteLength] = 0;
      return textPointer;
    },
  };
};

/** "faasm://a/b", "/a/b" and "a/./b" are one file. */
function sharedPath(path: string): string {
  const names: string[] = [];
  for (const name of (path.startsWith(SHARED_PREFIX) ? path.slice(SHARED_PREFIX.length) : path).split("/")) {
    if (name === "..") {
      names.pop();
    } else if (name !== "" && name !== ".") {
      names.push(name);
    }
  }
  return names.join("/");
}
