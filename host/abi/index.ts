export { abiTable } from "./abi-table.ts";
export { importsUrl } from "./imports-url.ts";
