/** What is answered to bytes that are no request. Their connection ends: the parser does not know where the next request begins. */
import { maxHeaderSize, type ServerResponse, STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import { failureHeaders, failureOf } from "./failure.ts";

/** @param response  to the last request of the socket, if there was one */
export function answerUnreadable(error: Error, socket: Socket, response: ServerResponse | undefined): void {
  // A request that was read may have run a call: what is said now would be taken for its answer (F17).
  const owed = response !== undefined && !response.writableEnded && (response.req.complete || response.headersSent);
  if (socket.writable && !owed) {
    const { status, text, headers } = refusalOf(error);
    const fields = [
      "Content-Type",
      "text/plain",
      "Content-Length",
      `${Buffer.byteLength(text)}`,
      "Connection",
      "close",
      ...headers,
    ];
    const lines = fields.map((field, index) => (index % 2 === 0 ? `${field}: ` : `${field}\r\n`)).join("");
    socket.write(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines}\r\n${text}`);
  }
  socket.destroy();
}

function refusalOf(error: Error): { status: number; text: string; headers: string[] } {
  const { code, reason } = error as { code?: unknown; reason?: unknown };
  if (code === "HPE_HEADER_OVERFLOW") {
    return { status: 431, text: `the path and the headers are larger than the limit of ${maxHeaderSize} bytes`, headers: [] };
  }
  if (code === "ERR_HTTP_REQUEST_TIMEOUT") {
    return { status: 408, text: "the headers of the request took too long", headers: [] };
  }
  const text = `the request is not HTTP/1.1: ${typeof reason === "string" && reason !== "" ? reason : error.message}`;
  const failure = failureOf("BAD_REQUEST", text);
  return { status: 400, text, headers: failure === undefined ? [] : failureHeaders(failure) };
}
