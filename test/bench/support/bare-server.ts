/**
 * What a call without state is compared with: a server of node:http alone, in a process of its own, that reads and parses the same
 * request and sends the same answer. Prints its port.
 */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => {
    const { input_data } = JSON.parse(Buffer.concat(chunks).toString()) as { input_data: string };
    response.setHeader("Content-Type", "text/plain");
    response.end(`Hello, ${input_data}!`);
  });
});
server.listen(0, "127.0.0.1", () => process.stdout.write(`${(server.address() as AddressInfo).port}\n`));
