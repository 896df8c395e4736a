/** The guests of `sandbox.test.ts`, each in a process of its own kind. */
import { usePoolsOfProcesses } from "../support/sandbox-calls.ts";

usePoolsOfProcesses();
await import("./sandbox.test.ts");
