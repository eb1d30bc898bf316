import { AppServerError } from "./error.js";

/** A connection to an app-server. It carries one message at a time, as text. */
export type Transport = {
  /** How many bytes were given to `send` and are not sent yet. */
  unsent(): number;
  send(message: string): void;
  /** Sends what is waiting, and ends the connection. */
  close(): void;
};

/** Receives the messages and the end of a connection. */
export type Receiver = {
  /** A message, or `null` for one that is not text. */
  receive(message: string | null): void;
  /** The connection has ended. Later calls have no effect. */
  ended(error: AppServerError): void;
  /** The length of the longest message, in UTF-16 code units. */
  readonly maxMessageLength: number;
};

/** The part of the browser's `WebSocket` that is used. Node 22, Deno, Bun and the package `ws` have it too. */
export type WebSocketLike = {
  readonly readyState: number;
  readonly bufferedAmount: number;
  send(data: string): void;
  close(code?: number): void;
  // `any`: the events of the DOM, of Node and of `ws` have no type in common.
  addEventListener(type: "open" | "message" | "close" | "error", listener: (event: any) => void): void;
};

/** A writable stream of Node, such as `child.stdin`. */
export type NodeWritable = {
  readonly writableLength: number;
  write(chunk: Uint8Array): boolean;
  end(): unknown;
  on(event: "error" | "close", listener: () => void): unknown;
};

/** A `WritableStream` of the web platform. */
export type WebWritable = {
  getWriter(): {
    write(chunk: Uint8Array): Promise<void>;
    close(): Promise<void>;
  };
};

/** A `ReadableStream` of the web platform. */
export type WebReadable = {
  getReader(): {
    read(): Promise<{ done: boolean; value?: unknown }>;
    cancel(reason?: unknown): Promise<void>;
  };
};

/** A pair of streams with one message a line. */
export type Streams = {
  /** The output of the app-server: `child.stdout`, or a `ReadableStream`. */
  readonly input: AsyncIterable<string | Uint8Array> | WebReadable;
  /** The input of the app-server: `child.stdin`, or a `WritableStream` of bytes. */
  readonly output: NodeWritable | WebWritable;
};

const CONNECTING = 0;
const OPEN = 1;

const lost = (why: string) =>
  new AppServerError("closed", `The connection to the app-server has ended: ${why}. Connect again.`);

const tooLong = (receiver: Receiver) =>
  lost(`the app-server sent a message of more than ${receiver.maxMessageLength} characters`);

/** Uses a WebSocket, and waits until it is open. */
export function overWebSocket(socket: WebSocketLike, receiver: Receiver): { transport: Transport; opened: Promise<void> } {
  socket.addEventListener("message", ({ data }: { data: unknown }) => {
    if (typeof data !== "string") return receiver.receive(null);
    if (data.length <= receiver.maxMessageLength) return receiver.receive(data);
    receiver.ended(tooLong(receiver));
  });
  // `close` follows, with the reason. The package `ws` throws if nothing listens.
  socket.addEventListener("error", () => {});
  socket.addEventListener("close", ({ code, reason }: { code: number; reason: string }) =>
    receiver.ended(lost(`the WebSocket was closed with the code ${code}${reason === "" ? "" : ` (${reason})`}`)),
  );
  const opened = new Promise<void>((resolve) => {
    if (socket.readyState === CONNECTING) socket.addEventListener("open", () => resolve());
    else resolve();
  });
  if (socket.readyState > OPEN) receiver.ended(lost("the WebSocket is already closed"));
  const transport = {
    unsent: () => socket.bufferedAmount,
    send: (message: string) => socket.send(message),
    close: () => socket.close(),
  };
  return { transport, opened };
}

/** Uses a pair of streams. */
export function overStreams({ input, output }: Streams, receiver: Receiver): Transport {
  void readLines(input, receiver).then(
    (error) => receiver.ended(error),
    () => receiver.ended(lost("its output could not be read")),
  );
  const encoder = new TextEncoder();
  const { unsent, write, close } = "getWriter" in output ? webOutput(output) : nodeOutput(output);
  return {
    unsent,
    send: (message) => {
      if (!write(encoder.encode(`${message}\n`))) receiver.ended(lost("its input is closed"));
    },
    close,
  };
}

/**
 * The output of a pair of streams. `write` returns `false` if an earlier write has failed. The end of the input, and not the failure,
 * ends the connection, because a program that has exited may have answered before.
 */
type Output = { unsent(): number; write(chunk: Uint8Array): boolean; close(): void };

function nodeOutput(output: NodeWritable): Output {
  let isOpen = true;
  const end = () => {
    isOpen = false;
  };
  output.on("error", end);
  output.on("close", end);
  return {
    unsent: () => output.writableLength,
    write: (chunk) => {
      if (isOpen) output.write(chunk);
      return isOpen;
    },
    close: () => void output.end(),
  };
}

function webOutput(output: WebWritable): Output {
  const writer = output.getWriter();
  let unsent = 0;
  let isOpen = true;
  const end = () => {
    isOpen = false;
  };
  return {
    unsent: () => unsent,
    write: (chunk) => {
      if (!isOpen) return false;
      unsent += chunk.length;
      writer.write(chunk).then(() => {
        unsent -= chunk.length;
      }, end);
      return true;
    },
    close: () => void writer.close().catch(end),
  };
}

/** Reads lines until the end of the input. Returns why it ended. */
async function readLines(input: Streams["input"], receiver: Receiver): Promise<AppServerError> {
  const decoder = new TextDecoder();
  // Joined only at the end of a line, so that a long line that arrives in many chunks takes linear time.
  let parts: string[] = [];
  let length = 0;
  for await (const chunk of "getReader" in input ? chunksOf(input) : input) {
    const text = typeof chunk === "string" ? chunk : decoder.decode(chunk, { stream: true });
    let start = 0;
    for (let end = text.indexOf("\n"); end !== -1; end = text.indexOf("\n", start)) {
      if (length + end - start > receiver.maxMessageLength) return tooLong(receiver);
      parts.push(text.slice(start, end));
      start = end + 1;
      const line = parts.join("");
      [parts, length] = [[], 0];
      if (line.trim() !== "") receiver.receive(line);
    }
    length += text.length - start;
    if (length > receiver.maxMessageLength) return tooLong(receiver);
    if (start < text.length) parts.push(text.slice(start));
  }
  return lost("its output has ended");
}

/** The chunks of a `ReadableStream`. Not every browser lets a program iterate over it. */
async function* chunksOf(input: WebReadable): AsyncGenerator<string | Uint8Array> {
  const reader = input.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value as string | Uint8Array;
    }
  } finally {
    await reader.cancel();
  }
}
