/** The table of an instance as side modules see it: functions get places in it, and keep them. */
import { SideModuleRefused } from "../../guest.ts";

export class FunctionTable {
  readonly table: WebAssembly.Table;
  /** Of each function the first place; made when it is first asked for. */
  readonly #places = new Map<unknown, number>();
  /** So many elements have been looked at. */
  #known = 0;

  constructor(table: WebAssembly.Table) {
    this.table = table;
  }

  /** The index of the function, which is put at the end if the table does not have it. @throws SideModuleRefused  there is no room */
  indexOf(run: unknown): number {
    for (; this.#known < this.table.length; this.#known++) {
      const found = this.table.get(this.#known);
      if (found !== null && !this.#places.has(found)) {
        this.#places.set(found, this.#known);
      }
    }
    const known = this.#places.get(run);
    if (known !== undefined) {
      return known;
    }
    const index = this.grow(1, 1);
    this.table.set(index, run);
    return this.indexOf(run);
  }

  /** Makes the table longer by `elements`, which begin at a multiple of `alignment`. @returns where @throws SideModuleRefused */
  grow(elements: number, alignment: number): number {
    const { length } = this.table;
    const base = Math.ceil(length / alignment) * alignment;
    try {
      this.table.grow(base - length + elements);
    } catch {
      throw new SideModuleRefused(
        `the table has ${length} elements, and there is no room for ${elements} more: link the main module with -Wl,--growable-table, or see the limit tableMaxElements`,
      );
    }
    return base;
  }
}
