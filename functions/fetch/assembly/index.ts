import { http, input, output } from "../../../guest-sdk/assembly";

export function main(): i32 {
  const words = input().split(" ");
  if (words[0] == "" || words.length > 2) {
    output("usage: <url> [<text to post>]");
    return 2;
  }
  // Cut off before the answer is logged, the call sends the request again, with the same Idempotency-Key.
  const response = words.length == 1 ? http.get(words[0]) : http.post(words[0], words[1]);
  if (response.error != "") {
    output(response.error + ": " + response.message);
    return 1;
  }
  output(response.status.toString() + " " + response.text);
  return response.ok ? 0 : 1;
}
