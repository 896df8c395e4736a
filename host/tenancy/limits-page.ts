/** The reference page docs/reference/limits.md, made from the table of limits. `npm run docs` writes it. */
import { LIMIT_NAMES, LIMITS, type LimitName } from "./limits.ts";

export function limitsPage(): string {
  const head = ["| limit | unit | default | from, to | told with | bounds |", "|---|---|---|---|---|---|"];
  return `${HEAD}\n${[...head, ...LIMIT_NAMES.map(row)].join("\n")}\n${TAIL}`;
}

function row(name: LimitName): string {
  const { shape, preset, unit, code, help, bounds } = LIMITS[name];
  const option = `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
  return `| \`${name}\`<br>\`${option}\` | ${unit} | ${preset} | ${shape.minimum}, ${shape.maximum} | ${told(code)} | ${WHAT[bounds]}: ${help} |`;
}

function told(code: string): string {
  return /^[A-Z_]+$/.test(code) && code !== "LOG_LIMIT" ? `[${code}](errors.md#${code.toLowerCase()})` : `\`${code}\``;
}

const WHAT = { upload: "a module", call: "a call", tenant: "a tenant" } as const;

const HEAD = `<!-- Made from host/tenancy/limits.ts by \`npm run docs\`. Change that file, not this page. -->
# Limits

What tenants, modules and calls may use. Each limit has one name, in three places:

- an **option of the host**, \`--wall-time-ms\`, for everybody ([configuration](configuration.md));
- the **tenants file** of the operator, \`--tenants-file\`, for a tenant, or as \`"*"\` for all that have no entry of their own:

  \`\`\`json
  { "acme": { "limits": { "wallTimeMs": 600000, "memoryMaxPages": 16384 } }, "*": { "limits": { "cpuTimeMs": 2000 } } }
  \`\`\`

- the **options of a function**, for calls of it
  ([\`PUT …/options\`](http-api.md#put-v1tenantstenantfunctionsfunctionoptions)): \`{"limits": {"wallTimeMs": 1000}}\`.

**A tenant's limit** is what its entry says, else \`"*"\`, else the host's option. It is the most that a function of the tenant can have,
and may be above the host's option. **A function's limit** is its own, up to its tenant's. Without one of its own, a call has the host's
option, or its tenant's limit if that is less; a module may be as large as its tenant's limits allow.

Limits of a **call** are fixed when it begins, for all its attempts, on any node. Limits of a **module** are built into it when it is uploaded; as
options of a function they make its module anew. Limits of a **tenant** hold in each process for itself, and a function has none of its own.
`;

const TAIL = `
What happens at each:

- **TIME_LIMIT, CPU_LIMIT**: the attempt is ended. If the call has logged nothing, nothing happened, and that is the answer. Otherwise it is run
  again as the function's retry policy says, and then parked. CPU time is that of the guest's own code over all the slices in which it ran,
  in this attempt; waiting costs none. A storage part that runs elsewhere has the limit for itself. \`Neap-Cpu-Ms\` says what a call took: all
  attempts of its run, storage parts, and the functions that it called. Of an attempt that another call displaced, or whose process died, it is
  what it had computed when it last waited for the host, or was last looked at while it ran, which is done every 5 ms.
- **OUTPUT_TOO_LARGE, STATE_LIMIT**: the function's own doing, as a trap is. What it wrote before stays. The answer has the code in \`Neap-Error\`.
- **LOG_LIMIT**: the call goes on. The log says once that the rest is left out.
- **tooDeep** (-7): what awaiting the call answers. The caller goes on.
- **memoryMaxPages**: a module that begins with more is refused. At run time \`memory.grow\` answers -1. To take back what a guest had takes the kernel up to
  0.1 ms for each MiB, in which threads of the same process may wait: [what that means for large ones](../benchmarks.md#runs-and-what-limits).
- **uploadTimeoutMs**: MODULE_LIMIT while the module is read and compiled, MODULE_START_FAILED while its own start function runs.
- **tenantMaxCalls**: a call is answered OVERLOADED; a call that would start one more ends its attempt and is run again a little later.
- **tenantMaxSandboxes**: calls wait in the order in which they came, called ones before others, and their time runs. Of the calls that others
  wait for one more for each depth is let in, so that callers cannot keep out what they wait for.
- **functionMaxSandboxes**: the same for the calls of one function. Storage parts do not count; a call with threads or ranks counts as one.
- **callMaxThreads**: \`thread-spawn\` answers -6, the errno \`again\`.
- **tenantMaxThreads**: calls of functions whose memory is shared by threads wait, as for a sandbox. What a call may start is set aside for it when it
  begins: 16 threads are enough for two calls that may have 8 each.

Besides, a process holds at most \`--active-max-calls\` calls in sandboxes and \`--queued-max-calls\` that wait for a worker, whosever they are. What a
module may have of sections, locals, nesting and so on is fixed ([module-caps.ts](../../host/modules/module-caps.ts)). Inputs and objects are
bounded for all alike: \`--input-max-bytes\`, \`--object-max-bytes\`.

Files of a [WASI program](../guides/wasi.md#files): a call has 32 MiB and 4096 names of its own (\`ENOSPC\`) and 1024 open descriptors (\`EMFILE\`). A shared file
is an object: \`--object-max-bytes\` (\`EFBIG\`, and 413 over HTTP), and what a call stores counts for stateMaxBytes. Its path is at most 1018 bytes, a
name in it 255 (\`ENAMETOOLONG\`).
`;
