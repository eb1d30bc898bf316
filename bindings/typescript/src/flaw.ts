import { validate as validateParams } from "./validator/validate.js";

/** Why params can't be decoded or encoded. */
export type Flaw = {
  kind: "invalidJson" | "missingField" | "invalidType";
  /** The path of the field: `params`, `params.name`, … */
  field: string | null;
  message: string;
};

/** The part of ajv's error objects that this module reads. */
type ValidatorErrors = {
  instancePath: string;
  params: { missingProperty?: string; type?: string | string[] };
}[];

const FIELDS = ["threadId", "name", "environmentId", "status", "error", "failureReason"] as const;

/** Returns the first flaw of invalid params, in the order of the fields. The other languages report the same one. */
export function flawOf(params: unknown): Flaw {
  const validate: { (params: unknown): boolean; errors?: ValidatorErrors | null } = validateParams;
  const errors = validate(params) ? [] : (validate.errors ?? []);
  const values: { [Field in (typeof FIELDS)[number]]?: unknown } = Object(params);

  const broken = FIELDS.find((name) => isBroken(values[name]));
  if (broken !== undefined) return loneSurrogate(`params.${broken}`);

  for (const name of FIELDS) {
    const error = errors.find(
      ({ instancePath, params }) => instancePath === `/${name}` || params.missingProperty === name,
    );
    if (error === undefined) continue;
    const field = `params.${name}`;
    const value = values[name];
    // Null counts as absent: a required field that is null is missing.
    if (value == null) return missing(field);
    return invalidType(field, Array.isArray(error.params.type) ? "a string or null" : "a string", value);
  }
  return params === undefined ? missing("params") : invalidType("params", "an object", params);
}

function isBroken(value: unknown): boolean {
  return typeof value === "string" && !value.isWellFormed();
}

function missing(field: string): Flaw {
  return { kind: "missingField", field, message: `\`${field}\` is missing` };
}

/** The flaw of a field whose value does not have the `expected` type. */
export function invalidType(field: string, expected: string, value: unknown): Flaw {
  return { kind: "invalidType", field, message: `\`${field}\` must be ${expected}, not ${typeName(value)}` };
}

/** A lone surrogate makes the whole line invalid JSON in every language, so `field` is `null`. */
export function loneSurrogate(path: string): Flaw {
  return { kind: "invalidJson", field: null, message: `not valid JSON: a lone surrogate in \`${path}\`` };
}

function typeName(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "an array";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}
