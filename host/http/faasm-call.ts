/** `POST /f/`: Faasm's one route for calls, status polls and execution graphs. The hot path; it stands in front of Fastify. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { NeapError } from "../../state/errors.ts";
import { quote } from "../../state/ids.ts";
import type { CallRequest } from "../invocation/invocation.ts";
import { type Caller, mustAct } from "./access.ts";
import { argumentsCheck, targetField } from "./arguments.ts";
import { type BodyLimit, discardRest, readBody } from "./body.ts";
import { clientSignal } from "./client-signal.ts";
import type { HttpContext } from "./context.ts";
import { faasmAnswer, faasmGraph, faasmStatus, type TextAnswer } from "./faasm-answers.ts";
import { checkCallId, type FaasmMessage, parseFaasmMessage, refuseUnoffered, worldSizeOf } from "./faasm-message.ts";
import { sendFailure, sendText, toFailure } from "./failure.ts";
import { idempotencyKey, tenantField, tracesOperations } from "./fields.ts";

/** Room for the JSON around an input, whose characters may need escapes. */
const ENVELOPE_BYTES = 64 * 1024;

/** Of a body with an input of that size. */
export function messageMaxBytes(inputMaxBytes: number): number {
  return 2 * inputMaxBytes + ENVELOPE_BYTES;
}
/** What the worst body of this size costs on the main thread stays near a millisecond: many short keys, line breaks before an error. */
const PARSE_HERE_MAX_BYTES = 32 * 1024;
/** No table is longer; 2^32 − 1 stands for "none" where a call is logged. */
const TABLE_INDEX_MAX = 2 ** 31 - 1;

export class FaasmCall {
  readonly #context: HttpContext;
  readonly #bodyLimit: BodyLimit;

  constructor(context: HttpContext) {
    this.#context = context;
    const maxBytes = messageMaxBytes(context.limits.inputMaxBytes);
    this.#bodyLimit = { maxBytes, code: "BODY_TOO_LARGE", what: "the body" };
  }

  /** Answers the request, whatever it is; never throws. */
  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { meter, log } = this.#context;
    const startMs = meter.start();
    try {
      const { status, body, headers } = await this.#answer(request, response);
      meter.answer(startMs, status, () => sendText(response, status, body, headers));
    } catch (error) {
      const failure = toFailure(error, log);
      meter.answer(startMs, failure.status, () => sendFailure(response, failure));
      discardRest(request);
    }
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<TextAnswer> {
    const { access, invocations, thread, bodies } = this.#context;
    const caller = access.caller(request);
    if (caller.tenant !== null) {
      bodies.giveTo(caller.tenant, response);
    }
    const body = await readBody({ request, response }, this.#bodyLimit, this.#context, PARSE_HERE_MAX_BYTES);
    const message = body.kind === "whole" ? parseFaasmMessage(body.bytes) : await thread.parse(body.blocks);
    if (message.status || message.exec_graph) {
      const id = checkCallId(message.id);
      const tenant = polledTenant(message, caller);
      return message.status
        ? faasmStatus(await invocations.status(id, tenant), id)
        : faasmGraph(await invocations.graph(id, tenant), id);
    }
    const answer = await invocations.call(this.#callRequest(message, caller, request, response));
    bodies.holdOutput(answer, response);
    return faasmAnswer(answer);
  }

  #callRequest(message: FaasmMessage, caller: Caller, request: IncomingMessage, response: ServerResponse): CallRequest {
    refuseUnoffered(message, caller.admin);
    if (message.user === "") {
      throw new NeapError("BAD_REQUEST", "Empty user");
    }
    if (message.function === "") {
      throw new NeapError("BAD_REQUEST", "Empty function");
    }
    const { input } = message;
    if (input === null) {
      throw new NeapError("BAD_REQUEST", "input_data has half of a surrogate pair, which is no character and has no bytes");
    }
    const { inputMaxBytes } = this.#context.limits;
    if (input.length > inputMaxBytes) {
      throw new NeapError("BODY_TOO_LARGE", `input_data is ${input.length} bytes, the limit is ${inputMaxBytes}`);
    }
    const functionName = targetField("function", message.function);
    const tenant = mustAct(caller, tenantField("user", message.user));
    this.#context.bodies.giveTo(tenant, response);
    return {
      tenant,
      functionName,
      input,
      check:
        message.func_ptr === 0
          ? argumentsCheck(functionName, input, this.#context.thread)
          : tableCheck(functionName, message.func_ptr),
      tableIndex: message.func_ptr === 0 ? undefined : message.func_ptr,
      commandLine: message.cmdline,
      worldSize: worldSizeOf(message),
      key: callKey(message.id, idempotencyKey(request)),
      answer: message.async ? "accepted" : "result",
      forbidPushDown: message.forbid_ndp,
      traceOperations: tracesOperations(request),
      signal: clientSignal(response),
    };
  }
}

/** What refuses a call of the function of a module's table at `index`. @throws BAD_REQUEST */
function tableCheck(functionName: string, index: number): CallRequest["check"] {
  if (index < 0 || index > TABLE_INDEX_MAX) {
    throw new NeapError("BAD_REQUEST", `func_ptr must be a whole number from 0 to ${TABLE_INDEX_MAX}, is ${index}`);
  }
  if (functionName.includes("/")) {
    throw new NeapError("BAD_REQUEST", `func_ptr is ${index} and function names an entry point, must be one of both`);
  }
  return ({ hasTable }) => {
    if (!hasTable) {
      throw new NeapError("BAD_REQUEST", `func_ptr is ${index}, but the module of function ${quote(functionName)} has no table`);
    }
  };
}

function callKey(id: number, idempotency: string | undefined): CallRequest["key"] {
  if (id === 0) {
    return idempotency === undefined ? undefined : { kind: "idempotency", value: idempotency };
  }
  if (idempotency !== undefined) {
    throw new NeapError("BAD_REQUEST", "id and Idempotency-Key are both given, must be one");
  }
  return { kind: "callId", value: checkCallId(id) };
}

/** A poll finds the token's tenant only; in open mode the `user` it names, or an id that only one tenant uses (H26). */
function polledTenant(message: FaasmMessage, caller: Caller) {
  if (message.user !== "") {
    return mustAct(caller, tenantField("user", message.user));
  }
  return caller.tenant ?? undefined;
}
