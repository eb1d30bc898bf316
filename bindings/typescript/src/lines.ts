/**
 * The lines of `input` with their numbers from 1, without the LF that ends them; no line follows the last LF. A CR before
 * it stays: it is white space of JSON.
 */
export function forEachLine(
  input: string | Uint8Array,
  take: (line: string | Uint8Array, number: number) => void,
): void {
  // All at once is much faster; where that fails the bytes are cut, so that only the bad line is lost.
  const lines = typeof input === "string" ? input : (textOf(input) ?? input);
  let number = 0;
  for (let start = 0; start < lines.length; ) {
    const found = typeof lines === "string" ? lines.indexOf("\n", start) : lines.indexOf(LF, start);
    const end = found === -1 ? lines.length : found;
    number += 1;
    // `subarray` copies nothing; `slice` of a string neither.
    take(typeof lines === "string" ? lines.slice(start, end) : lines.subarray(start, end), number);
    start = end + 1;
  }
}

const LF = 0x0a;

// A byte order mark is kept: it is not JSON.
const UTF_8 = /* @__PURE__ */ new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The text of `bytes`, or `undefined` where they are not UTF-8. */
export function textOf(bytes: Uint8Array): string | undefined {
  try {
    return UTF_8.decode(bytes);
  } catch {
    return undefined;
  }
}
