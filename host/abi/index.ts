export { abiTable } from "./abi-table.ts";
export { FILES_PREFIX } from "./file-messages.ts";
export { importsUrl } from "./imports-url.ts";
