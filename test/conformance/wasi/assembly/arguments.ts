import { args_get, args_sizes_get, environ_get, environ_sizes_get, expect, print, result, texts } from "./wasi";

export function _start(): void {
  expect("args_sizes_get", args_sizes_get(result, result + 4), 0);
  const args = new ArrayBuffer(4 * load<i32>(result));
  const argTexts = new ArrayBuffer(load<i32>(result + 4));
  expect("args_get", args_get(changetype<usize>(args), changetype<usize>(argTexts)), 0);
  print(1, texts(args.byteLength / 4, changetype<usize>(args)).slice(1).join("|") + "\n");
  expect("environ_sizes_get", environ_sizes_get(result, result + 4), 0);
  const variables = new ArrayBuffer(4 * load<i32>(result));
  const variableTexts = new ArrayBuffer(load<i32>(result + 4));
  expect("environ_get", environ_get(changetype<usize>(variables), changetype<usize>(variableTexts)), 0);
  print(1, texts(variables.byteLength / 4, changetype<usize>(variables)).join("|") + "\n");
}
