// The checks of arguments. An error names the argument by its path, the values that it takes, and the kind of value that it got. It does
// not show the value, which may be a secret.

/** Thrown for an argument that can't be used. The message names the argument and the values that it takes. */
export class InvalidArgumentError extends Error {
  override readonly name = "InvalidArgumentError";
  readonly code = "MCP_STARTUP_INVALID_ARGUMENT";
}

/** Checks the value at `place`, such as "`name`", and returns it. */
export type Rule<T> = (place: string, value: unknown) => T;

/** A rule for each option: an option without a rule does not compile. */
export type Rules<T> = { readonly [Option in keyof T]-?: Rule<Exclude<T[Option], null | undefined>> };

/** Returns the error for a value that can't be used. A number is shown only if the argument is one. */
export function mustBe(place: string, takes: string, value: unknown): InvalidArgumentError {
  const got = typeof value === "number" && takes.includes("number") ? String(value) : kindOf(value);
  return new InvalidArgumentError(`${place} must be ${takes}, not ${got}`);
}

export const text: Rule<string> = (place, value) => {
  if (typeof value === "string") return value;
  throw mustBe(place, "a string", value);
};

export const textOrNull: Rule<string | null> = (place, value) => (value == null ? null : text(place, value));

export const wholeNumberAboveZero: Rule<number> = (place, value) => {
  if (Number.isInteger(value) && (value as number) > 0) return value as number;
  throw mustBe(place, "a whole number above zero", value);
};

export const bytes: Rule<Uint8Array> = (place, value) => {
  if (tagOf(value) === "Uint8Array") return value as Uint8Array;
  throw mustBe(place, "a string or a Uint8Array", value);
};

/** An object with fields by name: no list, no `Map`, no promise. The namespace of a module has fields too. */
export const object: Rule<object> = (place, value) => {
  if (["Object", "Module"].includes(tagOf(value))) return value as object;
  throw mustBe(place, "an object", value);
};

/**
 * Checks the options of a call, and returns those that are set. An option that is `null` or `undefined` is absent.
 *
 * Each option is read by its name, so that an inherited option and a getter count too.
 */
export function optionsOf<T extends object>(rules: Rules<T>, options: unknown): T {
  const given = object("the options", options) as Record<string, unknown>;
  for (const name of Object.keys(given)) {
    if (Object.hasOwn(rules, name)) continue;
    throw new InvalidArgumentError(`the options: \`${name}\` is not known; ${meantBy(name, Object.keys(rules))}`);
  }
  const checked: Record<string, unknown> = {};
  for (const name of Object.keys(rules)) {
    const value = given[name];
    if (value != null) checked[name] = rules[name as keyof T](`the options: \`${name}\``, value);
  }
  return checked as T;
}

/** Returns the kind of a value, with an article. */
function kindOf(value: unknown): string {
  if (value == null) return String(value);
  if (typeof value !== "object") return `a ${typeof value}`;
  const tag = tagOf(value);
  const name = tag === "Array" || tag === "Object" ? tag.toLowerCase() : tag;
  return `${/^[AEIO]/i.test(name) ? "an" : "a"} ${name}`;
}

/** The name of a built-in type, also for an object of another realm. */
function tagOf(value: unknown): string {
  return Object.prototype.toString.call(value).slice("[object ".length, -1);
}

/** What to write instead of an unknown name. */
function meantBy(name: string, known: readonly string[]): string {
  // Most of the characters must be the same. A long name is not compared: it takes time, and it is none of these.
  const most = (other: string) => 0.4 * Math.max(name.length, other.length);
  const meant = known.find((other) => name.length < 64 && distance(name.toLowerCase(), other.toLowerCase()) <= most(other));
  return meant === undefined ? `the known ones are: ${known.join(", ")}` : `did you mean \`${meant}\`?`;
}

/** How many characters must be added, removed or replaced (Levenshtein distance). */
function distance(from: string, to: string): number {
  let row = [...`${to} `].map((_, index) => index);
  for (const character of from) {
    let last = row[0]! + 1;
    row = row.map((above, index) =>
      (last = index === 0 ? last : Math.min(above + 1, last + 1, row[index - 1]! + +(character !== to[index - 1]))),
    );
  }
  return row.at(-1)!;
}
