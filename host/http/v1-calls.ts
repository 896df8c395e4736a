/** Native calls: a function's input is the request's body, its output the answer's. */
import type { Readable } from "node:stream";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { NeapError } from "../../state/errors.ts";
import { type InstanceId, type LogBookId, quote } from "../../state/ids.ts";
import type { CallAnswer, CallRequest, CallResult, CallStatus } from "../invocation/invocation.ts";
import { mustAct } from "./access.ts";
import { ARGUMENTS_MAX_BYTES, argumentsCheck, entryPointField } from "./arguments.ts";
import { readSmallBody, takeBody } from "./body.ts";
import { byteBody, lengthHeader } from "./byte-body.ts";
import { callHeaders, cpuHeader, inMicroseconds } from "./call-headers.ts";
import { clientSignal } from "./client-signal.ts";
import type { HttpContext } from "./context.ts";
import { unfinishedFailure } from "./faasm-answers.ts";
import { failureHeaders, problem, resultCode } from "./failure.ts";
import { idempotencyKey, instanceField, nameField, tenantField, tracesOperations, wholeQuery } from "./fields.ts";
import { jsonBody, TextBytes } from "./json-body.ts";

interface CallPath {
  Params: { tenant: string; function: string };
}

interface EntryPointPath {
  Params: { tenant: string; function: string; entryPoint: string };
}

interface InstancePath {
  Params: { tenant: string; instance: string };
}

interface NativeAnswer {
  readonly status: number;
  readonly type: string;
  readonly body: string | Uint8Array | Readable;
  readonly headers: readonly string[];
}

export function registerCallRoutes(app: FastifyInstance, context: HttpContext): void {
  const { access, invocations, meter, limits, bodies } = context;

  app.post<CallPath>("/v1/tenants/:tenant/functions/:function/calls", async (request, reply) => {
    const startMs = meter.start();
    const options = callOptions(context, request, reply);
    const functionName = nameField("function", request.params.function);
    const input = await takeBody(
      { request: request.raw, response: reply.raw },
      { maxBytes: limits.inputMaxBytes, code: "BODY_TOO_LARGE", what: "the input" },
      context,
    );
    const answer = await invocations.call({ ...options, functionName, input });
    bodies.holdOutput(answer, reply.raw);
    const native = nativeAnswer(answer, options.tenant, BYTES);
    meter.answer(startMs, native.status, () => send(reply, native));
    return reply;
  });

  app.post<EntryPointPath>("/v1/tenants/:tenant/functions/:function/calls/:entryPoint", async (request, reply) => {
    const startMs = meter.start();
    const options = callOptions(context, request, reply);
    const functionName = `${nameField("function", request.params.function)}/${entryPointField(request.params.entryPoint)}`;
    const input = await readSmallBody(
      { request: request.raw, response: reply.raw },
      { maxBytes: Math.min(limits.inputMaxBytes, ARGUMENTS_MAX_BYTES), code: "BODY_TOO_LARGE", what: "the body" },
      context,
    );
    const check = argumentsCheck(functionName, input, context.thread);
    const answer = await invocations.call({ ...options, functionName, input, check });
    bodies.holdOutput(answer, reply.raw);
    const native = nativeAnswer(answer, options.tenant, JSON_TEXT);
    meter.answer(startMs, native.status, () => send(reply, native));
    return reply;
  });

  app.get<InstancePath>("/v1/tenants/:tenant/calls/:instance", async (request, reply) => {
    const tenant = mustAct(access.caller(request.raw), tenantField("tenant", request.params.tenant));
    const instance = instanceField(request.params.instance);
    const status = await invocations.statusOfInstance(instance, tenant);
    if (status.kind === "unknown") {
      throw unknownInstance(instance, tenant);
    }
    return sendJson(reply, statusJson(status));
  });

  app.get<InstancePath>("/v1/tenants/:tenant/calls/:instance/steps", async (request) => {
    const tenant = mustAct(access.caller(request.raw), tenantField("tenant", request.params.tenant));
    const instance = instanceField(request.params.instance);
    const steps = await invocations.timeline(instance, tenant);
    if (steps.length === 0) {
      throw unknownInstance(instance, tenant);
    }
    return { instance, steps };
  });

  app.delete<InstancePath>("/v1/tenants/:tenant/calls/:instance", async (request, reply) => {
    const tenant = mustAct(access.caller(request.raw), tenantField("tenant", request.params.tenant));
    const instance = instanceField(request.params.instance);
    const status = await invocations.cancel(instance, tenant);
    return sendJson(reply, status.kind === "unknown" ? { instance, state: "cancelled" } : statusJson(status));
  });
}

const BYTES = "application/octet-stream";
const JSON_TEXT = "application/json";

/** What the path and the headers say of a call. */
function callOptions(
  { access, bodies }: HttpContext,
  request: FastifyRequest<{ Params: { tenant: string } }>,
  reply: FastifyReply,
): Omit<CallRequest, "functionName" | "input"> {
  const tenant = mustAct(access.caller(request.raw), tenantField("tenant", request.params.tenant));
  bodies.giveTo(tenant, reply.raw);
  const key = idempotencyKey(request.raw);
  const delayMs = delay(request);
  return {
    tenant,
    key: key === undefined ? undefined : { kind: "idempotency", value: key },
    answer: delayMs > 0 || prefersAsync(request) ? "accepted" : "result",
    delayMs,
    forbidPushDown: pushDownForbidden(request),
    traceOperations: tracesOperations(request.raw),
    signal: clientSignal(reply.raw),
  };
}

function unknownInstance(instance: InstanceId, tenant: LogBookId): NeapError {
  return new NeapError("UNKNOWN_INSTANCE", `no instance of ${tenant} has the id ${quote(instance)}`);
}

/** A result among the fields may be long. */
function sendJson(reply: FastifyReply, fields: object): FastifyReply {
  return reply.type("application/json; charset=utf-8").send(jsonBody(fields));
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

/** @param type  of the output */
function nativeAnswer(answer: CallAnswer, tenant: LogBookId, type: string): NativeAnswer {
  const instance = ["Neap-Instance", answer.instance];
  const location = ["Location", `/v1/tenants/${tenant}/calls/${answer.instance}`];
  switch (answer.kind) {
    case "completed": {
      const { returnValue, output } = answer.result;
      const headers = [...callHeaders(answer.instance, answer.trace), "Neap-Return-Value", `${returnValue}`];
      if (returnValue !== 0) {
        return failed(answer.result, answer.instance, headers);
      }
      const body = byteBody(output);
      if (!(body instanceof Uint8Array)) {
        headers.push(...lengthHeader(output));
      }
      return { status: 200, type, body, headers };
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
        body: jsonBody(problem(failure, { instance: answer.instance, ...(pending ? { parked: answer.parked } : {}) })),
        headers: [...failureHeaders(failure), ...instance, ...cpuHeader(answer), ...(pending ? location : [])],
      };
    }
  }
}

const PROBLEM = "application/problem+json";

function failed(result: CallResult, instance: string, headers: readonly string[]): NativeAnswer {
  const { returnValue, trap } = result;
  const message = trap === undefined ? `the function returned ${returnValue}` : `the function trapped: ${trap}`;
  const failure = { code: resultCode(trap), status: 500, message };
  return {
    status: failure.status,
    type: PROBLEM,
    body: jsonBody(problem(failure, { instance, ...resultJson(result) })),
    headers: [...failureHeaders(failure), ...headers],
  };
}

function resultJson({ returnValue, trap, output }: CallResult): object {
  return { returnValue, ...(trap === undefined ? {} : { trap }), outputBase64: new TextBytes(output, "base64") };
}

function statusJson(status: Exclude<CallStatus, { kind: "unknown" }>): object {
  const { instance, tenant, functionName, callId, startedMs, notBeforeMs, finishedMs, cpuMs } = status.call;
  return {
    instance,
    id: callId,
    tenant,
    function: functionName,
    state: status.kind === "completed" && status.result.cancelled === true ? "cancelled" : status.kind,
    startedMs,
    notBeforeMs,
    finishedMs,
    cpuMs: cpuMs === null ? null : inMicroseconds(cpuMs),
    ...(status.kind === "completed" ? resultJson(status.result) : {}),
    ...(status.kind === "parked" ? { reason: status.reason } : {}),
  };
}

/** RFC 7240. Other preferences are ignored, as they may be. */
function prefersAsync(request: FastifyRequest): boolean {
  return /(^|[\s,;])respond-async\s*($|[,;])/i.test([request.headers.prefer ?? ""].flat().join(","));
}

/** Of Neap-Delay-Ms; 0 when it is left out. */
function delay(request: FastifyRequest): number {
  const value = request.headers["neap-delay-ms"];
  return wholeQuery("Neap-Delay-Ms", value, { min: 0, max: DELAY_MAX_MS, preset: 0 });
}

const DELAY_MAX_MS = 366 * 24 * 60 * 60 * 1000;

function pushDownForbidden(request: FastifyRequest): boolean {
  const value = request.headers["neap-push-down"];
  if (value !== undefined && value !== "never") {
    throw new NeapError("BAD_REQUEST", `Neap-Push-Down is ${quote(String(value))}, must be never or left out`);
  }
  return value === "never";
}
