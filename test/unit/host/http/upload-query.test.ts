import { expect, test } from "vitest";
import { uploadOptions } from "../../../../host/http/upload-query.ts";
import { refusal } from "../modules/fixtures.ts";

test("an upload asks for nothing unless its query says so", () => {
  expect(uploadOptions({})).toEqual({ preemptible: false, migratable: false, aliasState: false });
  expect(uploadOptions({ preemptible: "true", migratable: "false" })).toEqual({
    preemptible: true,
    migratable: false,
    aliasState: false,
  });
  expect(uploadOptions({ protocol: "boki", migratable: "true" })).toEqual({
    protocol: "boki",
    preemptible: false,
    migratable: true,
    aliasState: false,
  });
  expect(uploadOptions({ aliasState: "true" })).toEqual({ preemptible: false, migratable: false, aliasState: true });
});

test.each(["", "1", "TRUE", ["true", "true"]])("a flag that is neither true nor false is refused: %j", (value) => {
  expect(refusal(() => uploadOptions({ preemptible: value }))).toMatch(/^BAD_REQUEST: preemptible is .*, must be true or false$/);
  expect(refusal(() => uploadOptions({ migratable: value }))).toMatch(/^BAD_REQUEST: migratable is /);
});
