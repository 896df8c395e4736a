/** Which functions can call themselves, directly or through others. */
import { scanBody } from "../../instructions.ts";
import { importedCount, type ModuleShape } from "../../module-shape.ts";
import { elementFunctions } from "../../sections.ts";

/**
 * Indices of the module's own functions that lie on a cycle of its call graph. A call through a table may reach every function that an
 * element segment names and that has the call's type, a call by reference every function.
 */
export function functionsOnCycles(bytes: Uint8Array, shape: ModuleShape): Set<number> {
  const imported = importedCount(shape, "function");
  const graph = callGraph(bytes, shape, imported);
  const onCycle = new Set<number>();
  for (const component of components(graph)) {
    const [only] = component;
    const isCycle = component.length > 1 || (only !== undefined && graph[only]?.includes(only));
    for (const node of isCycle ? component : []) {
      if (node < shape.functions.length) {
        onCycle.add(imported + node);
      }
    }
  }
  return onCycle;
}

/**
 * Edges by node: the module's own functions in order, then one node for each type that calls through tables use, then one for all
 * functions. So the graph stays as small as the module.
 */
function callGraph(bytes: Uint8Array, shape: ModuleShape, imported: number): number[][] {
  const own = shape.functions.length;
  const anyFunction = own + shape.types.length;
  const edges: number[][] = Array.from({ length: anyFunction + 1 }, () => []);
  for (const [at, body] of shape.bodies.entries()) {
    const callees = new Set<number>();
    scanBody(bytes, body, {
      call: (index) => index >= imported && callees.add(index - imported),
      callIndirect: (typeIndex) => callees.add(own + typeIndex),
      callReference: () => callees.add(anyFunction),
    });
    edges[at] = [...callees];
  }
  const names = shape.types.map(({ params, results }) => `${params.join()}>${results.join()}`);
  const inTables = Map.groupBy(elementFunctions(bytes, shape), (index) => names[shape.functions[index - imported] ?? -1]);
  for (const [at, name] of names.entries()) {
    edges[own + at] = (inTables.get(name) ?? []).map((index) => index - imported);
  }
  edges[anyFunction] = Array.from({ length: own }, (_, at) => at);
  return edges;
}

/** Strongly connected components, by Tarjan's algorithm without recursion: a chain of calls may be as long as the module. */
function components(edges: readonly (readonly number[])[]): number[][] {
  const found: number[][] = [];
  const order = new Int32Array(edges.length).fill(-1);
  const low = new Int32Array(edges.length);
  const nextEdge = new Int32Array(edges.length);
  const onStack = new Uint8Array(edges.length);
  const stack: number[] = [];
  let count = 0;
  for (const root of edges.keys()) {
    const path = order[root] === -1 ? [root] : [];
    for (let node = path.at(-1); node !== undefined; node = path.at(-1)) {
      if (order[node] === -1) {
        order[node] = low[node] = count++;
        stack.push(node);
        onStack[node] = 1;
      }
      const next = edges[node]?.[nextEdge[node] ?? 0];
      if (next !== undefined) {
        nextEdge[node] = (nextEdge[node] ?? 0) + 1;
        if (order[next] === -1) {
          path.push(next);
        } else if (onStack[next] === 1) {
          low[node] = Math.min(low[node] ?? 0, order[next] ?? 0);
        }
        continue;
      }
      path.pop();
      const parent = path.at(-1);
      if (parent !== undefined) {
        low[parent] = Math.min(low[parent] ?? 0, low[node] ?? 0);
      }
      if (low[node] === order[node]) {
        const component = stack.splice(stack.indexOf(node));
        for (const member of component) {
          onStack[member] = 0;
        }
        found.push(component);
      }
    }
  }
  return found;
}
