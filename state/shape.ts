/**
 * The shapes of values that come from outside: another node's messages, options, the tenants file. Checked by hand-written closures:
 * every start of a process loads them, and every message passes them. See docs/decisions/0046-shapes.md.
 */

export interface Shape<T> {
  readonly kind: "whole" | "number" | "text" | "flag" | "choice" | "list" | "record" | "other";
  /** What it takes, for messages and help: "whole number from 1 to 4". */
  readonly range: string;
  has(value: unknown): value is T;
}

/** What has the shape. */
export type Of<S> = S extends Shape<infer T> ? T : never;

type AllOf<Items extends readonly Shape<unknown>[]> = { -readonly [K in keyof Items]: Of<Items[K]> };

export interface NumberShape extends Shape<number> {
  readonly minimum: number;
  readonly maximum: number;
}

export interface RecordShape<T> extends Shape<T> {
  readonly kind: "record";
  readonly properties: Readonly<Record<string, Shape<unknown>>>;
}

function shape<T>(kind: Shape<T>["kind"], range: string, has: (value: unknown) => boolean): Shape<T> {
  return { kind, range, has: has as Shape<T>["has"] };
}

/** A whole number that a double holds exactly. */
export function whole(minimum: number, maximum: number): NumberShape {
  const isWhole = (value: unknown) => Number.isSafeInteger(value) && isWithin(value as number, minimum, maximum);
  return { ...shape<number>("whole", `whole number from ${minimum} to ${maximum}`, isWhole), minimum, maximum };
}

export function between(minimum: number, maximum: number): NumberShape {
  const isNumber = (value: unknown) => typeof value === "number" && isWithin(value, minimum, maximum);
  return { ...shape<number>("number", `number from ${minimum} to ${maximum}`, isNumber), minimum, maximum };
}

function isWithin(value: number, minimum: number, maximum: number): boolean {
  return value >= minimum && value <= maximum;
}

/** A whole number from 0 to 2^53 − 1. */
export const Count = whole(0, Number.MAX_SAFE_INTEGER);
export const Finite = between(-Number.MAX_VALUE, Number.MAX_VALUE);
export const Text = shape<string>("text", "text", (value) => typeof value === "string");
export const Flag = shape<boolean>("flag", "true | false", (value) => typeof value === "boolean");
/** Bytes of any length. */
export const Bytes = shape<Uint8Array>("other", "bytes", (value) => value instanceof Uint8Array);
/** null: an empty body or answer. */
export const Nothing = shape<null>("other", "nothing", (value) => value === null);
export const Anything = shape<unknown>("other", "anything", () => true);

/** One of these, and nothing else. */
export function choice<const Values extends readonly (string | number)[]>(...values: Values): Shape<Values[number]> {
  const known: ReadonlySet<unknown> = new Set(values);
  return shape("choice", values.join(" | "), (value) => known.has(value));
}

export function list<T>(
  item: Shape<T>,
  { itemsMax = Number.POSITIVE_INFINITY, range = `list of ${item.range}` } = {},
): Shape<T[]> {
  const isList = (value: unknown) => Array.isArray(value) && value.length <= itemsMax && value.every((one) => item.has(one));
  return shape("list", range, isList);
}

/** What has the shape and holds. @param range  what it takes then */
export function that<T>(one: Shape<T>, range: string, holds: (value: T) => boolean): Shape<T> {
  return shape(one.kind, range, (value) => one.has(value) && holds(value));
}

/** A list of exactly these, in their order. */
export function tuple<const Items extends readonly Shape<unknown>[]>(...items: Items): Shape<AllOf<Items>> {
  const { length } = items;
  return shape("other", `list of ${length} fields`, (value) => {
    if (!Array.isArray(value) || value.length !== length) {
      return false;
    }
    for (let i = 0; i < length; i += 1) {
      if (!(items[i] as Shape<unknown>).has(value[i])) {
        return false;
      }
    }
    return true;
  });
}

export function either<const Shapes extends readonly Shape<unknown>[]>(...shapes: Shapes): Shape<Of<Shapes[number]>> {
  return shape("other", shapes.map(({ range }) => range).join(" or "), (value) => shapes.some((one) => one.has(value)));
}

export function orNothing<T>(one: Shape<T>): Shape<T | null> {
  return shape("other", `${one.range} or nothing`, (value) => value === null || one.has(value));
}

type Properties = Readonly<Record<string, Shape<unknown>>>;

/** An object with all of these properties; others do no harm. */
export function record<P extends Properties>(properties: P): RecordShape<{ -readonly [K in keyof P]: Of<P[K]> }> {
  return recordOf(properties, true);
}

/** An object with any of these properties; others do no harm. */
export function partial<P extends Properties>(properties: P): RecordShape<{ readonly [K in keyof P]?: Of<P[K]> }> {
  return recordOf(properties, false);
}

function recordOf<T>(properties: Properties, isWhole: boolean): RecordShape<T> {
  const names = Object.keys(properties);
  const has = (value: unknown): value is T =>
    typeof value === "object" &&
    value !== null &&
    !Array.isArray(value) &&
    names.every((name) =>
      Object.hasOwn(value, name) ? properties[name]?.has((value as Record<string, unknown>)[name]) : !isWhole,
    );
  return { kind: "record", range: `object with ${names.join(", ")}`, properties, has };
}

export function isRecord(one: Shape<unknown>): one is RecordShape<unknown> {
  return one.kind === "record";
}
