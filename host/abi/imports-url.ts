/** The module whose `createImports` a sandbox worker loads: it is handed over by URL, so that host/sandbox need not import host/abi. */
export const importsUrl = new URL("./create-imports.ts", import.meta.url);
