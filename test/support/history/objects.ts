/** Objects as a sequential machine: what an operation saw is part of it. */
import type { Model, Operation } from "./search.ts";

export type ObjectAction =
  | { readonly kind: "read"; readonly key: string; readonly value: string | null }
  /** null deletes. */
  | { readonly kind: "write"; readonly key: string; readonly value: string | null }
  /** Read and written at once. */
  | { readonly kind: "update"; readonly key: string; readonly old: string | null; readonly value: string | null }
  /** All that begin with `prefix`. */
  | { readonly kind: "list"; readonly prefix: string; readonly keys: readonly string[] };

export type ObjectOperation = Operation & { readonly action: ObjectAction };

type Objects = ReadonlyMap<string, string>;

export const objectsModel: Model<ObjectOperation, Objects> = {
  initial: new Map(),
  apply(state, { action }) {
    switch (action.kind) {
      case "read":
        return (state.get(action.key) ?? null) === action.value ? state : undefined;
      case "write":
        return changed(state, action.key, action.value);
      case "update":
        return (state.get(action.key) ?? null) === action.old ? changed(state, action.key, action.value) : undefined;
      case "list":
        return listed(state, action.prefix) === action.keys.join("\n") ? state : undefined;
    }
  },
  isRead: ({ action }) => action.kind === "read" || action.kind === "list",
  identify: (state) => JSON.stringify([...state].sort(([a], [b]) => (a < b ? -1 : 1))),
};

function listed(state: Objects, prefix: string): string {
  const keys = [...state.keys()].filter((key) => key.startsWith(prefix));
  return keys.sort().join("\n");
}

function changed(state: Objects, key: string, value: string | null): Objects {
  const next = new Map(state);
  if (value === null) {
    next.delete(key);
  } else {
    next.set(key, value);
  }
  return next;
}

export type PlacedWrite = Operation & { readonly key: string; readonly position: number };

/** Writes of one object whose order is known: each is legal after the one before it. */
export const orderModel: Model<PlacedWrite, number> = {
  initial: 0,
  apply: (state, { position }) => (position === state ? state + 1 : undefined),
  isRead: () => false,
  identify: String,
};
