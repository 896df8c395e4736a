/** What a started host prints: where it listens, and lines to paste. */
import type { ResolvedConfig } from "./config/index.ts";
import type { SecurityStatus } from "./http/index.ts";
import type { Node } from "./node.ts";

/** The last line begins with "Ready". */
export function greeting(config: ResolvedConfig, node: Node): string {
  const lines = [
    `Neap, role ${config.role}, node ${config.nodeName}, epoch ${node.epoch}`,
    `listening on ${node.url}, ${whereStateIs(config)}`,
    ...(node.clusterUrl === null ? [] : [`compute nodes connect to ${node.clusterUrl}`]),
    tenantsAre(node.security),
    "",
    ...(config.role === "storage" ? [] : examples(node.url, config.access.tokens !== null)),
    "Ready.",
  ];
  return `${lines.join("\n")}\n`;
}

function whereStateIs({ role, dataDirectory, cluster }: ResolvedConfig): string {
  return role === "compute" ? `storage node at ${cluster.storageUrl}` : `data in ${dataDirectory}`;
}

/** Which defences are active on this machine. */
function tenantsAre({ isolation, processDefences }: SecurityStatus): string {
  if (processDefences === null) {
    return "tenants share the threads of this process";
  }
  const where = {
    auto: "threads for one tenant, processes from the second on",
    threads: "threads unless the tenants file says processes",
    process: "processes",
  };
  const { ownUser, ownProcessIds, ownNetwork, noPrivileges, diesWithHost, memoryLimit, taskLimit } = processDefences;
  const active = Object.entries({
    "own user": ownUser,
    "own process ids": ownProcessIds,
    "no network device": ownNetwork,
    "no privileges": noPrivileges,
    "the host's end": diesWithHost,
    "memory limit": memoryLimit,
    "task limit": taskLimit,
  });
  const names = (isActive: boolean) => active.filter(([, is]) => is === isActive).map(([name]) => name);
  const not = names(false);
  return `tenants: ${where[isolation]}; a process has: ${["no permissions", ...names(true)].join(", ")}${
    not.length === 0 ? "" : `; not on this machine: ${not.join(", ")}`
  }`;
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
