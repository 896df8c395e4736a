import { defineConfig } from "vitest/config";
import { mutationPlugin } from "./mutation/apply.ts";
import { mutations } from "./mutation/mutations.ts";

/** The defect that the tests shall notice; none, unless a mutation is being run. */
const mutation = mutations.find(({ name }) => name === process.env.NEAP_MUTATION);

/** Tests run as real Node 26 processes, two at a time: several of them start hosts of their own. */
export default defineConfig({
  plugins: mutation === undefined ? [] : [mutationPlugin(mutation)],
  test: {
    root: new URL("..", import.meta.url).pathname,
    include: ["test/**/*.test.ts", "functions/**/*.test.ts"],
    pool: "forks",
    // A file with a defect must never be taken for the file.
    fsModuleCache: mutation === undefined,
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
