import { McpStartupError } from "./errors.cjs";

/**
 * Returns a value as JSON for the addon. `subject` names it in an error, such as "the options".
 *
 * `JSON.stringify` writes `{}` for a `Map`, `null` for `NaN`, and leaves out functions. Each would silently change what the
 * caller asked for, so they are errors here.
 */
export function jsonOf(subject: string, value: unknown): string {
  const text = JSON.stringify(value, (key, item: unknown) => {
    const problem = problemOf(item);
    if (problem === undefined) return item;
    const place = key === "" ? subject : `${subject}: \`${key}\``;
    throw invalidArgument(`${place} must be a value that JSON has, not ${problem}`);
  }) as string | undefined;
  if (text === undefined) throw invalidArgument(`${subject} must be a value that JSON has, not undefined`);
  return text;
}

/** Returns the error for an argument that can't be used. */
export function invalidArgument(message: string): McpStartupError {
  return new McpStartupError({ code: "invalidArgument", message });
}

/** Returns an argument that must be a string. The error does not show its value, which may be a secret. */
export function stringOf(name: string, value: unknown): string {
  if (typeof value === "string") return value;
  throw invalidArgument(`\`${name}\` must be a string, not ${value === null ? "null" : typeof value}`);
}

/** Returns an argument that must be a string or `null`. */
export function optionalStringOf(name: string, value: unknown): string | null {
  return value === null ? null : stringOf(name, value);
}

function problemOf(item: unknown): string | undefined {
  switch (typeof item) {
    case "number":
      return Number.isFinite(item) ? undefined : String(item);
    case "bigint":
    case "function":
    case "symbol":
      return `a ${typeof item}`;
    case "object": {
      if (item === null) return undefined;
      // Also right for objects of another realm.
      const kind = Object.prototype.toString.call(item).slice("[object ".length, -1);
      return KINDS_OF_JSON.has(kind) ? undefined : `a ${kind}`;
    }
    default:
      return undefined;
  }
}

const KINDS_OF_JSON = new Set(["Array", "Boolean", "Number", "Object", "String"]);
