/** What holds for a pool of threads holds for one of processes: the same tests. */
import { usePoolsOfProcesses } from "../../../../support/sandbox-calls.ts";

usePoolsOfProcesses();
await import("../preemptible.test.ts");
