// The rule for each option of the client.

import { InvalidArgumentError, mustBe, object, type Rule, type Rules, text } from "../arguments.js";
import type { ConnectOptions, RequestOptions } from "./client.js";
import type { Streams, WebSocketLike } from "./transport.js";

const numberAboveZero: Rule<number> = (place, value) => {
  if (typeof value === "number" && value > 0) return value;
  throw mustBe(place, "a number above zero", value);
};

/** The longest delay of a timer. A longer one ends immediately. */
const LONGEST_DELAY_MS = 2 ** 31 - 1;

const timeLimit: Rule<number> = (place, value) => {
  if (typeof value === "number" && value > 0 && value <= LONGEST_DELAY_MS) return value;
  throw mustBe(place, `a number above zero and at most ${LONGEST_DELAY_MS}`, value);
};

function callable<T extends (...args: never[]) => unknown>(): Rule<T> {
  return (place, value) => {
    if (typeof value === "function") return value as T;
    throw mustBe(place, "a function", value);
  };
}

const signal: Rule<AbortSignal> = (place, value) => {
  const { aborted, addEventListener } = Object(value) as Partial<AbortSignal>;
  if (typeof aborted === "boolean" && typeof addEventListener === "function") return value as AbortSignal;
  throw mustBe(place, "an AbortSignal", value);
};

export const REQUEST_OPTIONS: Rules<RequestOptions> = { signal, timeoutMs: timeLimit, onProgress: callable() };

const clientInfo: Rule<ConnectOptions["clientInfo"]> = (place, value) => {
  const { name, version } = object(place, value) as Partial<ConnectOptions["clientInfo"]>;
  text(`${place}: \`name\``, name);
  text(`${place}: \`version\``, version);
  return value as ConnectOptions["clientInfo"];
};

const list: Rule<readonly string[]> = (place, value) => {
  if (Array.isArray(value) && value.every((item) => typeof item === "string")) return value;
  throw mustBe(place, "a list of strings", value);
};

/** The connection of a client: a WebSocket, or a pair of streams. */
export const connection: Rule<WebSocketLike | Streams> = (place, value) => {
  if (has(value, "addEventListener", "send", "close")) return value as WebSocketLike;
  const isPair = typeof value === "object" && value !== null && !Array.isArray(value) && !has(value, "addEventListener");
  if (!isPair) throw mustBe(place, "a WebSocket, or an object with `input` and `output`", value);
  const { input, output } = value as Partial<Streams>;
  if (!has(input, Symbol.asyncIterator) && !has(input, "getReader")) {
    throw mustBe("`over.input`", "a stream to read from, such as `child.stdout`", input);
  }
  if (!has(output, "write", "end", "on") && !has(output, "getWriter")) {
    throw mustBe("`over.output`", "a stream to write to, such as `child.stdin`", output);
  }
  for (const [name, stream] of Object.entries({ input, output })) {
    if ((stream as { locked?: unknown }).locked !== true) continue;
    throw new InvalidArgumentError(`\`over.${name}\` must not be locked: another reader or writer has it`);
  }
  return value as Streams;
};

/** Whether a value has all of these methods. */
function has(value: unknown, ...methods: (string | symbol)[]): boolean {
  const members = Object(value) as Record<string | symbol, unknown>;
  return methods.every((method) => typeof members[method] === "function");
}

export const CONNECT_OPTIONS: Rules<ConnectOptions> = {
  clientInfo,
  token: text,
  onNotification: callable(),
  onInvalidMessage: callable(),
  optOutNotificationMethods: list,
  timeoutMs: timeLimit,
  signal,
  maxMessageLength: numberAboveZero,
};
