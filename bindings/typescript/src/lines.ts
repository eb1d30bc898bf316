/**
 * Calls `take` for each line of `input`, without its LF, and with its number, starting at 1. No line follows the last
 * LF. A CR before the LF stays: it is JSON white space.
 */
export function forEachLine(
  input: string | Uint8Array,
  take: (line: string | Uint8Array, number: number) => void,
): void {
  // Decoding the whole input at once is much faster. If it is not UTF-8, split the bytes, so that only the bad line is lost.
  const lines = typeof input === "string" ? input : (textOf(input) ?? input);
  let number = 0;
  for (let start = 0; start < lines.length; ) {
    const found = typeof lines === "string" ? lines.indexOf("\n", start) : lines.indexOf(LF, start);
    const end = found === -1 ? lines.length : found;
    number += 1;
    // Neither `subarray` nor `slice` of a string copies anything.
    take(typeof lines === "string" ? lines.slice(start, end) : lines.subarray(start, end), number);
    start = end + 1;
  }
}

const LF = 0x0a;

// Keep a byte order mark: JSON does not allow it, and `decode` must reject it.
const UTF_8 = /* @__PURE__ */ new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The text of `bytes`, or `undefined` if they are not UTF-8. */
export function textOf(bytes: Uint8Array): string | undefined {
  try {
    return UTF_8.decode(bytes);
  } catch {
    return undefined;
  }
}
