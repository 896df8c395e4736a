import { json } from "../../../../guest-sdk/assembly/json";

export function quote(text: string): string {
  return json.quote(text);
}

export function unquote(quoted: string): string {
  return json.unquote(quoted);
}
