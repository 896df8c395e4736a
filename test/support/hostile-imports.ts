/** Imports whose JavaScript has turned against the host: what a guest could call that has got out of the engine. */
import { networkInterfaces } from "node:os";
import type { CreateImports } from "../../host/sandbox/guest.ts";
import { createImports as honest } from "./test-imports.ts";

/** Descriptors of the pipe and of the file with the slice marks. */
const PIPE = 3;
const MARKS = 5;

const WHO = Math.floor(Math.random() * 2 ** 31);

/** What must fail. Each resolves to what it got. */
const ATTEMPTS: Readonly<Record<string, () => unknown>> = {
  "read a file": () => process.getBuiltinModule("node:fs").readFileSync("/etc/hostname", "utf8"),
  "write a file": () => process.getBuiltinModule("node:fs").writeFileSync("/tmp/neap-escape", "x"),
  "list a folder": () => process.getBuiltinModule("node:fs").readdirSync("/"),
  "read a process's memory": () => process.getBuiltinModule("node:fs").readFileSync(`/proc/${process.ppid}/environ`),
  "open a database": async () => new (process.getBuiltinModule("node:sqlite").DatabaseSync)("/tmp/neap-escape.db"),
  "run a program": async () => {
    const { error, status } = process.getBuiltinModule("node:child_process").spawnSync("/bin/true");
    return error === undefined ? status : Promise.reject(error);
  },
  "start a thread": async () => new (process.getBuiltinModule("node:worker_threads").Worker)("1", { eval: true }),
  listen: () => process.getBuiltinModule("node:net").createServer().listen(0),
  connect: async () => {
    const socket = process.getBuiltinModule("node:net").connect(9, "127.0.0.1");
    return new Promise((resolve, reject) => socket.once("connect", resolve).once("error", reject));
  },
  "ask for a name": () => process.getBuiltinModule("node:dns").promises.lookup("localhost.localdomain"),
  "send a datagram": async () => {
    const socket = process.getBuiltinModule("node:dgram").createSocket("udp4");
    return new Promise((resolve, reject) => {
      socket.once("error", reject);
      socket.send("x", 9, "127.0.0.1", (error) => (error ? reject(error) : resolve("sent")));
    });
  },
  "open the inspector": () => process.getBuiltinModule("node:inspector").open(0),
  "load an add-on": () => process.dlopen({ exports: {} } as never, "/tmp/neap-escape.node"),
  "make code of text": async () => new Function("return 1")(),
};

export const createImports: CreateImports = (guest) => {
  const text = (value: unknown) => guest.call.appendOutput(Buffer.from(JSON.stringify(value)));
  return {
    ...honest(guest),
    /** Outputs what each attempt got, and what it sees of itself. */
    "t.escape": {
      suspends: true,
      run: async () => {
        const got: Record<string, string> = {};
        for (const [name, attempt] of Object.entries(ATTEMPTS)) {
          try {
            got[name] = `got ${String(await attempt())}`;
          } catch (error) {
            got[name] = `refused ${(error as { code?: string }).code ?? (error as Error).name}`;
          }
        }
        const interfaces = Object.keys(networkInterfaces());
        text({
          got,
          env: process.env,
          user: process.getuid?.(),
          group: process.getgid?.(),
          groups: process.getgroups?.(),
          pid: process.pid,
          parent: process.ppid,
          interfaces,
        });
      },
    },
    /** Which process it is. */
    "t.who": { suspends: false, run: () => WHO },
    /** Signals the process whose id is the input; outputs how it went. */
    "t.signal": {
      suspends: false,
      run: () => {
        try {
          process.kill(Number(Buffer.from(guest.call.input).toString()), "SIGTERM");
          text("sent");
        } catch (error) {
          text((error as { code?: string }).code);
        }
      },
    },
    /** Writes the input into the pipe, between or inside of honest frames. */
    "t.say": {
      suspends: false,
      run: () => {
        const { writeSync } = process.getBuiltinModule("node:fs");
        for (let { input } = guest.call; input.byteLength > 0; ) {
          try {
            input = input.subarray(writeSync(PIPE, input));
          } catch {
            // The pipe is full for now.
          }
        }
      },
    },
    /** Makes the file of the slice marks grow. */
    "t.swell": {
      suspends: false,
      run: () => {
        const { writeSync } = process.getBuiltinModule("node:fs");
        writeSync(MARKS, Buffer.alloc(8 * 1024 * 1024), 0, 8 * 1024 * 1024, 4096);
        for (;;) {}
      },
    },
    /** Takes memory that no limit of JavaScript or WebAssembly counts, and keeps it. */
    "t.hoard_bytes": {
      suspends: false,
      run: () => {
        const all: Buffer[] = [];
        for (;;) {
          all.push(Buffer.alloc(1024 * 1024, 1));
          Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
        }
      },
    },
    /** Ends in an out-of-memory of JavaScript's heap. */
    "t.hoard": {
      suspends: false,
      run: () => {
        const all: unknown[] = [];
        for (;;) {
          all.push(Array.from({ length: 1000 }, (_, at) => ({ at })));
        }
      },
    },
  };
};
