/** Side modules and main modules in the text format, and a host in this process to open them on. */
import type { CallAnswer } from "../../host/invocation/index.ts";
import type { UploadOptions } from "../../host/modules/index.ts";
import type { ProcessStarter } from "../../host/processes/index.ts";
import type { SandboxPool } from "../../host/sandbox/index.ts";
import type { LogBookId } from "../../state/ids.ts";
import { ObjectStore } from "../../state/objects/index.ts";
import { leb, nameBytes, section, wat } from "./guest-modules.ts";
import { noRemains, type Remains, World } from "./world.ts";

const FILE_MAX_BYTES = 2 ** 26;

export interface DylinkFields {
  readonly memoryBytes?: number;
  readonly memoryAlignmentLog2?: number;
  readonly tableElements?: number;
  readonly tableAlignmentLog2?: number;
  readonly needed?: readonly string[];
  /** [module, name] of imports that may be missing. */
  readonly weak?: readonly (readonly [string, string])[];
}

/** The custom section "dylink.0", as tool-conventions' DynamicLinking.md has it. */
export function dylinkSection(fields: DylinkFields = {}): number[] {
  const { memoryBytes = 0, memoryAlignmentLog2 = 0, tableElements = 0, tableAlignmentLog2 = 0, needed = [], weak = [] } = fields;
  const subsection = (kind: number, contents: readonly number[]) => [kind, ...leb(contents.length), ...contents];
  return section(
    0,
    ...nameBytes("dylink.0"),
    ...subsection(1, [memoryBytes, memoryAlignmentLog2, tableElements, tableAlignmentLog2].flatMap(leb)),
    ...subsection(2, [...leb(needed.length), ...needed.flatMap(nameBytes)]),
    ...subsection(4, [...leb(weak.length), ...weak.flatMap(([module, name]) => [...nameBytes(module), ...nameBytes(name), 1])]),
  );
}

/** What each side module of the tests imports of the convention. */
export const SIDE_IMPORTS = `
  (import "env" "memory" (memory 0))
  (import "env" "__indirect_function_table" (table 0 funcref))
  (import "env" "__stack_pointer" (global $sp (mut i32)))
  (import "env" "__memory_base" (global $memory i32))
  (import "env" "__table_base" (global $table i32))`;

/** @param body  behind SIDE_IMPORTS: further imports, then the rest */
export function sideModule(body: string, fields: DylinkFields = {}): Uint8Array {
  const bytes = wat(`(module ${SIDE_IMPORTS} ${body})`);
  return Buffer.concat([bytes.subarray(0, 8), Uint8Array.from(dylinkSection(fields)), bytes.subarray(8)]);
}

/**
 * A main module. Its input is three texts, each with a NUL behind it: a path, a name, and one more path, "" for none, that is opened
 * before. It opens the side module and calls the function with 5; the output is what that returns as 4 bytes, and main returns 0. When
 * something is refused, it returns 3, and the output is what dlerror says.
 */
export const MAIN = mainModule();

/** @param extra  further imports, then what the main module has beside */
export function mainModule({ imports = "", extra = "", table = "4", pages = "2 40" } = {}): Uint8Array<ArrayBuffer> {
  return wat(`(module
    (import "env" "dlopen" (func $dlopen (param i32 i32) (result i32)))
    (import "env" "dlsym" (func $dlsym (param i32 i32) (result i32)))
    (import "env" "dlclose" (func $dlclose (param i32) (result i32)))
    (import "env" "dlerror" (func $dlerror (result i32)))
    (import "env" "__faasm_read_input" (func $input (param i32 i32) (result i32)))
    (import "env" "__faasm_write_output" (func $output (param i32 i32)))
    ${imports}
    (memory (export "memory") ${pages})
    (table $functions (export "__indirect_function_table") ${table} funcref)
    (elem (i32.const 1) $thrice)
    (global (export "__stack_pointer") (mut i32) (i32.const 65536))
    (global (export "main_variable") i32 (i32.const 1024))
    (data (i32.const 1024) "\\2a\\00\\00\\00")
    (type $unary (func (param i32) (result i32)))
    (func $thrice (export "thrice") (param i32) (result i32) (i32.mul (local.get 0) (i32.const 3)))
    (func $end (param i32) (result i32)
      (loop $next
        (if (i32.load8_u (local.get 0)) (then (local.set 0 (i32.add (local.get 0) (i32.const 1))) (br $next))))
      (local.get 0))
    (func $fail (result i32) (local i32)
      (local.set 0 (call $dlerror))
      (if (local.get 0) (then (call $output (local.get 0) (i32.sub (call $end (local.get 0)) (local.get 0)))))
      (i32.const 3))
    (func (export "main") (result i32) (local $path i32) (local $name i32) (local $first i32) (local $handle i32) (local $f i32)
      (drop (call $input (i32.const 2048) (i32.const 4096)))
      (local.set $path (i32.const 2048))
      (local.set $name (i32.add (call $end (local.get $path)) (i32.const 1)))
      (local.set $first (i32.add (call $end (local.get $name)) (i32.const 1)))
      (if (i32.load8_u (local.get $first)) (then
        (if (i32.eqz (call $dlopen (local.get $first) (i32.const 2))) (then (return (call $fail))))))
      (local.set $handle (call $dlopen (local.get $path) (i32.const 2)))
      (if (i32.eqz (local.get $handle)) (then (return (call $fail))))
      (local.set $f (call $dlsym (local.get $handle) (local.get $name)))
      (if (i32.eqz (local.get $f)) (then (return (call $fail))))
      (i32.store (i32.const 1028) (call_indirect $functions (type $unary) (i32.const 5) (local.get $f)))
      (call $output (i32.const 1028) (i32.const 4))
      (i32.const 0))
    ${extra})`);
}

/** A tenant that has a host in this process. */
export class SideModuleWorld {
  readonly world: World;
  readonly tenant: LogBookId;

  private constructor(world: World, tenant: LogBookId) {
    this.world = world;
    this.tenant = tenant;
  }

  static async open(pool: SandboxPool, tenant: string, starter?: ProcessStarter): Promise<SideModuleWorld> {
    const opened = await SideModuleWorld.over(pool, tenant, noRemains(), () => null, starter);
    await opened.upload("main", MAIN);
    return opened;
  }

  /** With what is there already. */
  static async over(
    pool: SandboxPool,
    tenant: string,
    remains: Remains,
    onFault: Parameters<typeof World.open>[2],
    starter?: ProcessStarter,
  ): Promise<SideModuleWorld> {
    const world = await World.open(pool, remains, onFault, undefined, starter && { starter });
    return new SideModuleWorld(world, tenant as LogBookId);
  }

  upload(name: string, module: Uint8Array, options: UploadOptions = {}): Promise<void> {
    return this.world.upload(this.tenant, name, module, options);
  }

  /** Makes the bytes a shared file. */
  async file(path: string, bytes: Uint8Array): Promise<void> {
    const chunk = async function* () {
      yield bytes;
    };
    await new ObjectStore(this.world.shard, 1_000).put(this.tenant, `files/${path}`, chunk(), FILE_MAX_BYTES);
  }

  /** A call of a main module; of its input, see MAIN. */
  call(functionName: string, path: string, name = "run", before = "", key?: string): Promise<CallAnswer> {
    const input = `${path}\0${name}\0${before}\0`;
    return this.world.call({ tenant: this.tenant, functionName, input, ...(key !== undefined && { key }) });
  }

  /** Stores the side module and calls a function of it with 5. A number is what it returned; a text why not. */
  async run(module: Uint8Array, name = "run", { main = "main", before = "" } = {}): Promise<number | string> {
    await this.file("lib/side.wasm", module);
    return this.open("faasm://lib/side.wasm", name, { main, before });
  }

  /** As `run`, of a shared file. */
  async open(path: string, name = "run", { main = "main", before = "" } = {}): Promise<number | string> {
    return told(await this.call(main, path, name, before));
  }
}

/** What a main module as above answers. */
export function told(answer: CallAnswer): number | string {
  if (answer.kind !== "completed") {
    return answer.kind === "failed" ? `${answer.code}: ${answer.message}` : answer.kind;
  }
  const { returnValue, output, trap } = answer.result;
  if (trap !== undefined) {
    return `trap: ${trap}`;
  }
  const bytes = Buffer.from(output as Uint8Array);
  return returnValue === 0 ? bytes.readInt32LE(0) : bytes.toString();
}
