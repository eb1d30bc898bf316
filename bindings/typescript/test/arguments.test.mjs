// Arguments that can't be used: the call throws an error that names the argument, the values that it takes, and the kind of value that it got.

import assert from "node:assert/strict";
import test from "node:test";
import { authRequiredReason, decode, decodeLines, encode, InvalidArgumentError, StartupTracker, startupNotification } from "@mcp-startup/protocol";
import { AppServerClient } from "@mcp-startup/protocol/app-server";

const { starting, ready, failed, reauthenticationRequired } = startupNotification;
const tracker = new StartupTracker();
const clientInfo = { name: "test", version: "1" };
const streams = { input: (async function* () {})(), output: { write: () => true, end() {} } };
const over = (over) => () => AppServerClient.connect(over, { clientInfo });
const lockedStream = new ReadableStream();
lockedStream.getReader();
const PAIR = "`over` must be a WebSocket, or an object with `input` and `output`";
const INPUT = "`over.input` must be a stream to read from, such as `child.stdout`";
const OUTPUT = "`over.output` must be a stream to write to, such as `child.stdin`";
const connect = (options) => () => AppServerClient.connect(streams, options);

const ROWS = [
  [() => new StartupTracker(5), "the options must be an object, not a number"],
  [() => new StartupTracker("5"), "the options must be an object, not a string"],
  [() => new StartupTracker(null), "the options must be an object, not null"],
  [() => new StartupTracker([]), "the options must be an object, not an array"],
  [() => new StartupTracker(new Map()), "the options must be an object, not a Map"],
  [() => new StartupTracker({ limt: 5 }), "the options: `limt` is not known; did you mean `limit`?"],
  [() => new StartupTracker({ lmit: 5 }), "the options: `lmit` is not known; did you mean `limit`?"],
  [() => new StartupTracker({ LIMIT: 5 }), "the options: `LIMIT` is not known; did you mean `limit`?"],
  [() => new StartupTracker({ most: 5 }), "the options: `most` is not known; the known ones are: limit"],
  [() => new StartupTracker({ ["limit".repeat(99)]: 5 }), `the options: \`${"limit".repeat(99)}\` is not known; the known ones are: limit`],
  [() => new StartupTracker({ limit: -1 }), "the options: `limit` must be a whole number above zero, not -1"],
  [() => new StartupTracker({ limit: 0 }), "the options: `limit` must be a whole number above zero, not 0"],
  [() => new StartupTracker({ limit: 1.5 }), "the options: `limit` must be a whole number above zero, not 1.5"],
  [() => new StartupTracker({ limit: Number.NaN }), "the options: `limit` must be a whole number above zero, not NaN"],
  [() => new StartupTracker({ limit: "5" }), "the options: `limit` must be a whole number above zero, not a string"],
  [() => tracker.server(), "`key` must be an object, not undefined"],
  [() => tracker.server("a"), "`key` must be an object, not a string"],
  [() => tracker.server({}), "`key.name` must be a string, not undefined"],
  [() => tracker.server({ name: "a", threadId: 5 }), "`key.threadId` must be a string, not a number"],
  [() => tracker.remove(null), "`threadId` must be a string, not null"],
  [() => tracker.applyLines(5), "`lines` must be a string or a Uint8Array, not a number"],
  [() => tracker.applyLines({}), "`lines` must be a string or a Uint8Array, not an object"],
  [() => tracker.applyLines([]), "`lines` must be a string or a Uint8Array, not an array"],
  [() => tracker.applyLines(undefined), "`lines` must be a string or a Uint8Array, not undefined"],
  [() => tracker.applyLines(null), "`lines` must be a string or a Uint8Array, not null"],
  [() => decodeLines(new ArrayBuffer(1)), "`lines` must be a string or a Uint8Array, not an ArrayBuffer"],
  [() => decode(undefined), "`line` must be a string or a Uint8Array, not undefined"],
  [() => decode(5), "`line` must be a string or a Uint8Array, not a number"],
  [() => starting(), "`name` must be a string, not undefined"],
  [() => starting(5), "`name` must be a string, not a number"],
  [() => ready("a", 5), "`threadId` must be a string, not a number"],
  [() => failed("a"), "`error` must be a string, not undefined"],
  [() => reauthenticationRequired("a", null), "`error` must be a string, not null"],
  [() => authRequiredReason(null), "`failure` must be an object, not null"],
  [() => authRequiredReason({}), "`failure.recovery` must be a string, not undefined"],
  [connect(undefined), "the options must be an object, not undefined"],
  [connect({}), "the options: `clientInfo` is missing"],
  [connect({ clientInfo: { name: "a" } }), "the options: `clientInfo`: `version` must be a string, not undefined"],
  [connect({ clientInfo, timeoutMs: "5" }), "the options: `timeoutMs` must be a number above zero and at most 2147483647, not a string"],
  [connect({ clientInfo, onNotification: "x" }), "the options: `onNotification` must be a function, not a string"],
  [connect({ clientInfo, signal: new AbortController() }), "the options: `signal` must be an AbortSignal, not an AbortController"],
  [connect({ clientInfo, onNotificaton: () => {} }), "the options: `onNotificaton` is not known; did you mean `onNotification`?"],
  [over(), `${PAIR}, not undefined`],
  [over(null), `${PAIR}, not null`],
  [over("ws://127.0.0.1:1"), `${PAIR}, not a string`],
  [over([]), `${PAIR}, not an array`],
  [over(new AbortController().signal), `${PAIR}, not an AbortSignal`],
  [over({}), `${INPUT}, not undefined`],
  [over({ input: "x", output: streams.output }), `${INPUT}, not a string`],
  [over({ input: streams.input }), `${OUTPUT}, not undefined`],
  [over({ input: streams.input, output: {} }), `${OUTPUT}, not an object`],
  [over(streams), `${OUTPUT}, not an object`],
  [
    over({ input: lockedStream, output: new WritableStream() }),
    "`over.input` must not be locked: another reader or writer has it",
  ],
];

for (const [call, message] of ROWS) {
  test(`${call}: ${message}`, async () => {
    await assert.rejects(
      async () => call(),
      (error) => {
        assert.ok(error instanceof InvalidArgumentError && error instanceof Error);
        assert.deepEqual(
          [error.name, error.code, error.message],
          ["InvalidArgumentError", "MCP_STARTUP_INVALID_ARGUMENT", message],
        );
        return true;
      },
    );
  });
}

test("an option that is null or undefined is absent, and a getter counts", () => {
  class Options {
    get limit() {
      return 1;
    }
  }
  for (const [options, kept] of [[{}, 2], [{ limit: undefined }, 2], [{ limit: null }, 2], [new Options(), 1], [Object.create({ limit: 1 }), 1]]) {
    const tracker = new StartupTracker(options);
    for (const name of ["a", "b"]) tracker.apply(ready(name));
    assert.equal(tracker.servers().length, kept);
  }
});

test("`encode` accepts every result of `startupNotification`", () => {
  for (const thread of [undefined, null, "t"]) {
    for (const one of [starting("a", thread), ready("a", thread), failed("a", "e", thread)]) assert.ok(encode(one));
  }
});
