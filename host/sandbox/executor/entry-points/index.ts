export { TypedCalls, type TypedHost } from "./typed-calls.ts";
export { type TypedModule, typedModule } from "./typed-module.ts";
