import type { TSchema } from "typebox";

/** What values a schema takes, for messages and help: "a whole number from 1 to 4". */
export function describeRange(schema: TSchema): string {
  const range = schema as {
    type?: string;
    enum?: readonly string[];
    minimum?: number;
    maximum?: number;
    description?: string;
  };
  if (range.description !== undefined) {
    return range.description;
  }
  if (range.enum !== undefined) {
    return range.enum.join(" | ");
  }
  switch (range.type) {
    case "integer":
      return `whole number from ${range.minimum} to ${range.maximum}`;
    case "number":
      return `number from ${range.minimum} to ${range.maximum}`;
    case "boolean":
      return "true | false";
    case "array":
      return "comma-separated list";
    default:
      return "text";
  }
}
