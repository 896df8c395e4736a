/** Native calls: a function's input is the request's body, its output the answer's. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { NeapError } from "../../state/errors.ts";
import { type LogBookId, quote } from "../../state/ids.ts";
import type { CallAnswer, CallResult, CallStatus } from "../invocation/invocation.ts";
import { mustAct } from "./access.ts";
import { readBody } from "./body.ts";
import { callHeaders } from "./call-headers.ts";
import { clientSignal } from "./client-signal.ts";
import type { HttpContext } from "./context.ts";
import { unfinishedFailure } from "./faasm-answers.ts";
import { failureHeaders, problemBody } from "./failure.ts";
import { idempotencyKey, instanceField, nameField, tenantField, tracesOperations } from "./fields.ts";

interface CallPath {
  Params: { tenant: string; function: string };
}

interface InstancePath {
  Params: { tenant: string; instance: string };
}

interface NativeAnswer {
  readonly status: number;
  readonly type: string;
  readonly body: string | Uint8Array;
  readonly headers: readonly string[];
}

export function registerCallRoutes(app: FastifyInstance, context: HttpContext): void {
  const { access, invocations, meter, limits } = context;

  app.post<CallPath>("/v1/tenants/:tenant/functions/:function/calls", async (request, reply) => {
    const startMs = meter.start();
    const tenant = mustAct(access.caller(request.raw), tenantField("tenant", request.params.tenant));
    const functionName = nameField("function", request.params.function);
    const key = idempotencyKey(request.raw);
    const forbidPushDown = pushDownForbidden(request);
    const traceOperations = tracesOperations(request.raw);
    const input = await readBody(
      { request: request.raw, response: reply.raw },
      { maxBytes: limits.inputMaxBytes, code: "BODY_TOO_LARGE", what: "the input" },
      context,
    );
    const answer = await invocations.call({
      tenant,
      functionName,
      input,
      ...(key === undefined ? {} : { key: { kind: "idempotency", value: key } }),
      answer: prefersAsync(request) ? "accepted" : "result",
      forbidPushDown,
      traceOperations,
      signal: clientSignal(reply.raw),
    });
    const native = nativeAnswer(answer, tenant);
    meter.answer(startMs, native.status, () => send(reply, native));
    return reply;
  });

  app.get<InstancePath>("/v1/tenants/:tenant/calls/:instance", async (request, reply) => {
    const tenant = mustAct(access.caller(request.raw), tenantField("tenant", request.params.tenant));
    const instance = instanceField(request.params.instance);
    const status = await invocations.statusOfInstance(instance, tenant);
    if (status.kind === "unknown") {
      throw new NeapError("UNKNOWN_INSTANCE", `no instance of ${tenant} has the id ${quote(instance)}`);
    }
    return reply.send(statusJson(status));
  });
}

function send(reply: FastifyReply, { status, type, body, headers }: NativeAnswer): void {
  for (let i = 0; i < headers.length; i += 2) {
    reply.header(headers[i] ?? "", headers[i + 1]);
  }
  reply
    .code(status)
    .type(type)
    .send(typeof body === "string" ? Buffer.from(body) : body);
}

function nativeAnswer(answer: CallAnswer, tenant: LogBookId): NativeAnswer {
  const instance = ["Neap-Instance", answer.instance];
  const location = ["Location", `/v1/tenants/${tenant}/calls/${answer.instance}`];
  switch (answer.kind) {
    case "completed": {
      const { returnValue } = answer.result;
      const headers = [...callHeaders(answer.instance, answer.trace), "Neap-Return-Value", `${returnValue}`];
      return returnValue === 0
        ? { status: 200, type: "application/octet-stream", body: answer.result.output, headers }
        : failed(answer.result, answer.instance, headers);
    }
    case "accepted":
      return {
        status: 202,
        type: "application/json",
        body: JSON.stringify({ id: answer.callId, instance: answer.instance }),
        headers: [...instance, ...location, "Preference-Applied", "respond-async"],
      };
    default: {
      const failure = unfinishedFailure(answer);
      const pending = answer.kind === "pending";
      return {
        status: failure.status,
        type: PROBLEM,
        body: problemBody(failure, { instance: answer.instance, ...(pending ? { parked: answer.parked } : {}) }),
        headers: [...failureHeaders(failure), ...instance, ...(pending ? location : [])],
      };
    }
  }
}

const PROBLEM = "application/problem+json";

function failed(result: CallResult, instance: string, headers: readonly string[]): NativeAnswer {
  const { returnValue, trap } = result;
  const message = trap === undefined ? `the function returned ${returnValue}` : `the function trapped: ${trap}`;
  const failure = { code: "CALL_FAILED", status: 500, message };
  return {
    status: failure.status,
    type: PROBLEM,
    body: problemBody(failure, { instance, ...resultJson(result) }),
    headers: [...failureHeaders(failure), ...headers],
  };
}

function resultJson({ returnValue, trap, output }: CallResult): object {
  const outputBase64 = Buffer.from(output.buffer, output.byteOffset, output.byteLength).toString("base64");
  return { returnValue, ...(trap === undefined ? {} : { trap }), outputBase64 };
}

function statusJson(status: Exclude<CallStatus, { kind: "unknown" }>): object {
  const { instance, tenant, functionName, callId, startedMs, finishedMs } = status.call;
  return {
    instance,
    id: callId,
    tenant,
    function: functionName,
    state: status.kind,
    startedMs,
    finishedMs,
    ...(status.kind === "completed" ? resultJson(status.result) : {}),
    ...(status.kind === "parked" ? { reason: status.reason } : {}),
  };
}

/** RFC 7240. Other preferences are ignored, as they may be. */
function prefersAsync(request: FastifyRequest): boolean {
  return /(^|[\s,;])respond-async\s*($|[,;])/i.test([request.headers.prefer ?? ""].flat().join(","));
}

function pushDownForbidden(request: FastifyRequest): boolean {
  const value = request.headers["neap-push-down"];
  if (value !== undefined && value !== "never") {
    throw new NeapError("BAD_REQUEST", `Neap-Push-Down is ${quote(String(value))}, must be never or left out`);
  }
  return value === "never";
}
