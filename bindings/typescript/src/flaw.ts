import { validate as validateParams } from "./validator/validate.js";

/** Why params can't be read, or can't be written. */
export type Flaw = {
  kind: "invalidJson" | "missingField" | "invalidType";
  /** As a path: `params`, `params.name`, … */
  field: string | null;
  message: string;
};

/** The errors that the validator left, as ajv shapes them. */
type ValidatorErrors = {
  instancePath: string;
  params: { missingProperty?: string; type?: string | string[] };
}[];

const FIELDS = ["threadId", "name", "status", "error", "failureReason"] as const;

/** What is wrong with params that are not valid: the first flaw in the order of the fields, as in the other languages. */
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
    // Null stands for nothing: a required field that is null is missing.
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

/** A field whose value is not of the `wanted` type. */
export function invalidType(field: string, wanted: string, value: unknown): Flaw {
  return { kind: "invalidType", field, message: `\`${field}\` must be ${wanted}, not ${typeName(value)}` };
}

/** Half a surrogate pair makes the whole line invalid, as in the other languages: so no field is at fault. */
export function loneSurrogate(where: string): Flaw {
  return { kind: "invalidJson", field: null, message: `not valid JSON: a lone surrogate in \`${where}\`` };
}

function typeName(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "an array";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}
