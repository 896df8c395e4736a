/** What one node may ask of another: a name, and the shapes of body and answer, checked at both ends. */
import type { Shape } from "../shape.ts";

export interface Method<Body, Answer> {
  readonly name: string;
  readonly body: Shape<Body>;
  readonly answer: Shape<Answer>;
}

/** A method whose body and answer must have these shapes; anything else is answered BAD_MESSAGE. Of bytes only Uint8Array may cross:
 * msgpackr corrupts other typed arrays without a word. */
export function method<Body, Answer>(name: string, body: Shape<Body>, answer: Shape<Answer>): Method<Body, Answer> {
  return { name, body, answer };
}

/** An answer of several fields, typed in their order. */
export function fields<Values extends unknown[]>(...values: Values): Values {
  return values;
}
