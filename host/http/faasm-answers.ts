/** Codes and bodies of Faasm's invocation API. */
import type { Readable } from "node:stream";
import { NeapError } from "../../state/errors.ts";
import type { CallAnswer, CallDescription, CallGraphNode, CallResult, CallStatus } from "../invocation/invocation.ts";
import { byteBody, lengthHeader, sizeOf } from "./byte-body.ts";
import { callHeaders, cpuHeader, inMicroseconds, quotedText } from "./call-headers.ts";
import { type Failure, failureHeaders, failureOf, resultCode } from "./failure.ts";
import { jsonBody, TextBytes } from "./json-body.ts";

export interface TextAnswer {
  readonly status: number;
  readonly body: string | Uint8Array | Readable;
  readonly headers: readonly string[];
}

export function faasmAnswer(answer: CallAnswer): TextAnswer {
  switch (answer.kind) {
    case "completed": {
      const headers = callHeaders(answer.instance, answer.trace);
      const { returnValue, output } = answer.result;
      if (returnValue === 0) {
        const body = byteBody(output);
        return { status: 200, body, headers: body instanceof Uint8Array ? headers : [...headers, ...lengthHeader(output)] };
      }
      return {
        status: 500,
        body: failureText(answer.result),
        headers: ["Neap-Error", resultCode(answer.result.trap), ...outputHeader(answer.result), ...headers],
      };
    }
    case "accepted":
      return { status: 200, body: `${answer.callId}`, headers: ["Neap-Instance", answer.instance] };
    default: {
      const failure = unfinishedFailure(answer);
      return {
        status: failure.status,
        body: failure.message,
        headers: [...failureHeaders(failure), "Neap-Instance", answer.instance, ...cpuHeader(answer)],
      };
    }
  }
}

/** What the client is told of a call without a result. */
export function unfinishedFailure(answer: Extract<CallAnswer, { kind: "pending" | "failed" }>): Failure {
  const code = answer.kind === "pending" ? "OUTCOME_PENDING" : answer.code;
  const message =
    answer.kind === "failed"
      ? answer.message
      : `instance ${answer.instance} is ${answer.parked ? "parked" : "not finished"}: ${answer.reason}`;
  return failureOf(code, message) ?? { code: "INTERNAL", status: 500, message };
}

/** Faasm replaces the output of a failed call by its first line; the trap's text is an addition. */
function failureText(result: CallResult): string {
  const line = `Call failed (return value=${result.returnValue})`;
  return result.trap === undefined ? line : `${line}\n${result.trap}`;
}

const OUTPUT_SHOWN_BYTES = 256;

/** What a function said about its failure, as the body has no place for it. Nothing after a trap, whose text is in the body. */
function outputHeader({ output, trap }: CallResult): string[] {
  const said = trap === undefined && output instanceof Uint8Array ? output.subarray(0, OUTPUT_SHOWN_BYTES) : [];
  return said.length === 0 ? [] : ["Neap-Output", quotedText(Buffer.from(said).toString().trimEnd())];
}

/** @throws UNKNOWN_CALL */
export function faasmStatus(status: CallStatus, id: number): TextAnswer {
  switch (status.kind) {
    case "unknown":
      throw unknownCall(id);
    case "running":
    case "delayed":
      return { status: 200, body: "RUNNING", headers: ["Neap-Instance", status.call.instance] };
    case "parked":
      return {
        status: 200,
        body: "RUNNING",
        headers: ["Neap-Instance", status.call.instance, "Neap-Parked", quotedText(status.reason)],
      };
    case "completed": {
      const headers = ["Neap-Instance", status.call.instance, ...cpuHeader(status.call)];
      return status.result.returnValue === 0
        ? { status: 200, body: jsonBody(messageJson(status.call, status.result)), headers }
        : {
            status: 500,
            body: `FAILED: ${failureText(status.result)}`,
            headers: ["Neap-Error", resultCode(status.result.trap), ...outputHeader(status.result), ...headers],
          };
    }
  }
}

/** @throws UNKNOWN_CALL */
export function faasmGraph(graph: CallGraphNode | null, id: number): TextAnswer {
  if (graph === null) {
    throw unknownCall(id);
  }
  return { status: 200, body: jsonBody({ root: graphJson(graph) }), headers: ["Neap-Instance", graph.call.instance] };
}

function unknownCall(id: number): NeapError {
  return new NeapError("UNKNOWN_CALL", `no call has the id ${id}`);
}

function graphJson(node: CallGraphNode): object {
  const msg = { ...messageJson(node.call), ...(node.returnValue === null ? {} : { return_value: node.returnValue }) };
  return { msg, chained: node.chained.map(graphJson) };
}

/** Faasm's message. `return_value`, `cpu_ms` and `instance` are additions; bytes that are not UTF-8 show as U+FFFD. */
function messageJson(call: CallDescription, result?: CallResult): object {
  return {
    id: call.callId ?? 0,
    type: 0,
    user: call.tenant,
    function: call.functionName,
    ...(call.tableIndex === null ? {} : { func_ptr: call.tableIndex }),
    timestamp: call.startedMs,
    ...(call.finishedMs === null ? {} : { finished: call.finishedMs }),
    ...(sizeOf(call.input) === 0 ? {} : { input_data: new TextBytes(call.input, "utf8") }),
    ...(result === undefined ? {} : { output_data: new TextBytes(result.output, "utf8"), return_value: result.returnValue }),
    ...(call.cpuMs === null ? {} : { cpu_ms: inMicroseconds(call.cpuMs) }),
    instance: call.instance,
  };
}
