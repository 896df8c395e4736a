/** What one node may ask of another: a name, and the shapes of body and answer, checked at both ends. */
import Type, { type Static, type TSchema } from "typebox";
import { Compile } from "typebox/compile";

export interface Shape<T> {
  Check(value: unknown): value is T;
}

export interface Method<Body, Answer> {
  readonly name: string;
  readonly body: Shape<Body>;
  readonly answer: Shape<Answer>;
}

/** A method whose body and answer must match these schemas; anything else is answered BAD_MESSAGE. */
export function method<B extends TSchema, A extends TSchema>(name: string, body: B, answer: A): Method<Static<B>, Static<A>> {
  return { name, body: shapeOf(body), answer: shapeOf(answer) };
}

export function shapeOf<S extends TSchema>(schema: S): Shape<Static<S>> {
  const validator = Compile(schema);
  return { Check: (value): value is Static<S> => validator.Check(value) };
}

/** Bytes of any length. Only these may cross: msgpackr corrupts other typed arrays without a word. */
export const Bytes = Type.Refine(Type.Unsafe<Uint8Array>({}), (value) => value instanceof Uint8Array);
/** A whole number from 0 to 2^53 − 1. */
export const Count = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
export const Text = Type.String();
/** An empty body or answer. */
export const Nothing = Type.Null();

/** An answer of several fields, typed in their order. */
export function fields<Values extends unknown[]>(...values: Values): Values {
  return values;
}
