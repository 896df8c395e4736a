/** What a started host prints: where it listens, and lines to paste. */
import type { ResolvedConfig } from "./config/index.ts";
import type { Node } from "./node.ts";

/** The last line begins with "Ready". */
export function greeting(config: ResolvedConfig, node: Node): string {
  const lines = [
    `Neap, role ${config.role}, node ${config.nodeName}, epoch ${node.epoch}`,
    `listening on ${node.url}, ${whereStateIs(config)}`,
    ...(node.clusterUrl === null ? [] : [`compute nodes connect to ${node.clusterUrl}`]),
    "",
    ...(config.role === "storage" ? [] : examples(node.url, config.access.tokens !== null)),
    "Ready.",
  ];
  return `${lines.join("\n")}\n`;
}

function whereStateIs({ role, dataDirectory, cluster }: ResolvedConfig): string {
  return role === "compute" ? `storage node at ${cluster.storageUrl}` : `data in ${dataDirectory}`;
}

/** @param asksToken  the reader has to put one in */
function examples(url: string, asksToken: boolean): string[] {
  const curl = asksToken ? "curl -H 'Authorization: Bearer TOKEN'" : "curl";
  const call = (fields: string) =>
    `${curl} -X POST '${url}/f/' -H 'Content-Type: application/json' -d '{"async": false, ${fields}}'`;
  const ndp = (name: string, input: string) => call(`"user": "ndp", "function": "${name}", "input_data": "${input}"`);
  return [
    "Try, in a second terminal:",
    ...["put", "get", "wordcount"].map((name) => `  ${curl} -X PUT ${url}/f/ndp/${name} -T functions/ndp/build/${name}.wasm`),
    `  ${ndp("put", "key v1 v2 v3")}`,
    `  ${ndp("get", "key")}`,
    `  ${ndp("wordcount", "key")}`,
    `  ${call(`"user": "ndp", "function": "wordcount", "input_data": "key", "forbid_ndp": true`)}`,
    "",
  ];
}
