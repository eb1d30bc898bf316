import { fileURLToPath } from "node:url";
import { InvalidArgumentError } from "./errors.cjs";

/**
 * Checks one argument, or one part of it, and returns the value to use.
 *
 * @throws {InvalidArgumentError} With the place, the values that it takes, and the kind of value that it got.
 */
export type Rule<T> = (place: Place, value: unknown) => T;

/** A rule for each field of an object: a field without a rule does not compile. */
export type Rules<T> = { readonly [Field in keyof T]-?: Rule<Exclude<T[Field], null | undefined>> };

/** The place of a value in an error: the path of an argument, such as `rejected.status`, or a path in a subject, such as "the options". */
export class Place {
  constructor(
    readonly subject: string,
    readonly path: string = "",
  ) {}

  /** The place of a field of the value here, or of an item of a list. */
  at(key: string | number): Place {
    if (typeof key === "number") return new Place(this.subject, `${this.path}[${key}]`);
    return new Place(this.subject, this.path === "" ? key : `${this.path}.${key}`);
  }

  toString(): string {
    if (this.path === "") return this.subject;
    return this.subject === "" ? `\`${this.path}\`` : `${this.subject}: \`${this.path}\``;
  }
}

/** The place of an argument that is named by its own name. */
export function argument(name: string): Place {
  return new Place("", name);
}

export const OPTIONS = new Place("the options");

/** Returns the error for a value that can't be used. A value may be a secret, so a number is shown only if the argument is one. */
export function mustBe(place: Place, takes: string, value: unknown): InvalidArgumentError {
  const got = typeof value === "number" && takes.includes("number") ? String(value) : kindOf(value);
  return new InvalidArgumentError(`${place} must be ${takes}, not ${got}`);
}

export const text: Rule<string> = (place, value) => {
  if (typeof value === "string") return value;
  throw mustBe(place, "a string", value);
};

export const flag: Rule<boolean> = (place, value) => {
  if (typeof value === "boolean") return value;
  throw mustBe(place, "a boolean", value);
};

/** A value that may be absent, which is `null` in the result. */
export function orNull<T>(rule: Rule<T>): Rule<T | null> {
  return (place, value) => (value == null ? null : rule(place, value));
}

/** A number. The addon knows its limits. */
export const number: Rule<number> = (place, value) => {
  if (typeof value === "number" && Number.isFinite(value)) return value;
  throw mustBe(place, "a number", value);
};

export const texts: Rule<string[]> = (place, value) => {
  if (!Array.isArray(value)) throw mustBe(place, "a list of strings", value);
  return Array.from(value, (item: unknown, index) => text(place.at(index), item));
};

/** The URL is a string or a `URL`, and is returned as a string. */
export const url: Rule<string> = (place, value) => {
  if (isUrl(value)) return value.href;
  if (typeof value === "string") return value;
  throw mustBe(place, "a string or a URL", value);
};

/** The path is a string or a `file:` URL, and is returned as a string. */
export const path: Rule<string> = (place, value) => {
  if (typeof value === "string") return value;
  if (!isUrl(value)) throw mustBe(place, "a path, as a string or a `file:` URL", value);
  try {
    return fileURLToPath(value.href);
  } catch {
    throw new InvalidArgumentError(`${place} must be a path, as a string or a \`file:\` URL, and this URL has no path on this machine`);
  }
};

export const signal: Rule<AbortSignal> = (place, value) => {
  const { aborted, addEventListener } = Object(value) as Partial<AbortSignal>;
  if (typeof aborted === "boolean" && typeof addEventListener === "function") return value as AbortSignal;
  throw mustBe(place, "an AbortSignal", value);
};

export const wholeNumberAboveZero: Rule<number> = (place, value) => {
  if (Number.isInteger(value) && (value as number) > 0) return value as number;
  throw mustBe(place, "a whole number above zero", value);
};

/** A function, whose own arguments and results are not known. */
export function callable<T extends (...args: never[]) => unknown>(): Rule<T> {
  return (place, value) => {
    if (typeof value === "function") return value as T;
    throw mustBe(place, "a function", value);
  };
}

/** An object that JSON can carry without a change, with all its contents. */
export function json<T extends object>(takes = "an object"): Rule<T> {
  return (place, value) => {
    if (!isObject(value)) throw mustBe(place, takes, value);
    return plain(place, value, []) as T;
  };
}

/** Returns an object as JSON for the addon. */
export function jsonOf(place: Place, value: unknown): string {
  return JSON.stringify(json()(place, value));
}

/**
 * Checks an object with known fields, and returns those that are set. A field that is `null` or `undefined` is absent.
 *
 * Each field is read by its name, so that an inherited field and a getter count too.
 */
export function fieldsOf<T extends object>(place: Place, rules: Rules<T>, value: unknown): T {
  if (!isObject(value)) throw mustBe(place, "an object", value);
  const known = Object.keys(rules);
  for (const name of Object.keys(value)) {
    if (!Object.hasOwn(rules, name)) {
      throw new InvalidArgumentError(`${place.at(name)} is not known; ${meantBy(name, known)}`);
    }
  }
  const fields: Record<string, unknown> = {};
  for (const name of known as (keyof T & string)[]) {
    const field = (value as Partial<T>)[name];
    if (field != null) fields[name] = rules[name](place.at(name), field);
  }
  return fields as T;
}

/** Checks the options of a call. */
export function optionsOf<T extends object>(rules: Rules<T>, options: unknown): T {
  return fieldsOf(OPTIONS, rules, options);
}

/** Returns the kind of a value, with an article. */
export function kindOf(value: unknown): string {
  if (value == null || Number.isNaN(value) || value === Infinity || value === -Infinity) return String(value);
  if (typeof value !== "object") return `a ${typeof value}`;
  // Also right for objects of another realm.
  const kind = tagOf(value);
  const name = kind === "Array" || kind === "Object" ? kind.toLowerCase() : kind;
  return `${/^[AEIO]/i.test(name) ? "an" : "a"} ${name}`;
}

const tagOf = (value: object) => Object.prototype.toString.call(value).slice("[object ".length, -1);

const isUrl = (value: unknown): value is URL => typeof value === "object" && value !== null && tagOf(value) === "URL";

/** Whether a value has fields by name: no list, no `Map`, no promise. The namespace of a module has. */
function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && ["Object", "Module"].includes(tagOf(value));
}

/** The addon accepts a depth of 128. */
const MAX_DEPTH = 100;

/**
 * Copies a value to one that JSON carries without a change.
 *
 * `JSON.stringify` writes `{}` for a `Map`, `null` for `NaN`, and leaves out functions. Each would silently change what the
 * caller asked for, so they are errors here. `ancestors` are the objects that the value is in.
 */
function plain(place: Place, value: unknown, ancestors: object[]): unknown {
  if (value === null || typeof value === "string" || typeof value === "boolean") return value;
  if (typeof value === "number" && Number.isFinite(value)) return value;
  if (isUrl(value)) return value.href;
  if (!Array.isArray(value) && !isObject(value)) throw mustBe(place, "a value that JSON has", value);
  if (ancestors.includes(value)) throw new InvalidArgumentError(`${place} must not contain itself`);
  if (ancestors.length === MAX_DEPTH) {
    throw new InvalidArgumentError(`${place.subject || place} must not be nested more than ${MAX_DEPTH} levels deep`);
  }
  const inside = [...ancestors, value];
  if (Array.isArray(value)) return Array.from(value, (item: unknown, index) => plain(place.at(index), item, inside));
  const { toJSON } = value as { toJSON?: unknown };
  if (typeof toJSON === "function") return plain(place, toJSON.call(value, ""), inside);
  const fields = Object.entries(value).filter(([, field]) => field !== undefined);
  return Object.fromEntries(fields.map(([name, field]) => [name, plain(place.at(name), field, inside)]));
}

/** What to write instead of an unknown name. */
function meantBy(name: string, known: readonly string[]): string {
  const similar = known.map((other) => ({ other, similarity: similarity(name, other) }));
  const [closest] = similar.sort((a, b) => b.similarity - a.similarity);
  if (closest !== undefined && closest.similarity >= MISSPELLED) return `did you mean \`${closest.other}\`?`;
  return `the known ones are: ${known.join(", ")}`;
}

/** The similarity from which one name may be a misspelling of another. */
const MISSPELLED = 0.6;
/** No known name is nearly as long. The time to compare names grows with the product of their lengths. */
const LONGEST_NAME = 64;

/** How similar two names are, from 0 to 1, without regard to case and separators (Levenshtein distance). */
function similarity(left: string, right: string): number {
  if (left.length > LONGEST_NAME) return 0;
  const [a, b] = [left, right].map((name) => name.toLowerCase().replaceAll(/[-_]/g, "")) as [string, string];
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] as number) + Number(a[i - 1] !== b[j - 1]);
      next.push(Math.min(replaced, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    row = next;
  }
  return 1 - (row[b.length] as number) / Math.max(a.length, b.length, 1);
}
