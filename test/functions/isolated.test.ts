/** What holds for functions with memory regions or threads in threads of the host holds for them in a process of their tenant: the same tests. */
import { usePoolsOfThreadedProcesses } from "../support/sandbox-calls.ts";

usePoolsOfThreadedProcesses();
await import("./regions.test.ts");
await import("./threads.test.ts");
