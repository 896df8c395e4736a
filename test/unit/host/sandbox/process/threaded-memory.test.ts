/** What holds for a pool of threads holds for one of threads in a tenant's process: the same tests. */
import { usePoolsOfThreadedProcesses } from "../../../../support/sandbox-calls.ts";

usePoolsOfThreadedProcesses();
await import("../memory.test.ts");
await import("../preemptible.test.ts");
