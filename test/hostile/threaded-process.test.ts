/** The guests of `sandbox.test.ts`, each in a thread of a process whose guests share memory. */
import { usePoolsOfThreadedProcesses } from "../support/sandbox-calls.ts";

usePoolsOfThreadedProcesses();
await import("./sandbox.test.ts");
