// Text of servers, made safe to show.

// The hidden characters of `mcp_startup_core::is_hidden`: a reader can't see them, or they change the text around them.
const HIDDEN =
  /(?<!\p{Extended_Pictographic}\u{fe0f}?)\u{200d}|\u{200d}(?!\p{Extended_Pictographic})|(?![\u{fe0f}\u{200d}])[\p{Cc}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u{fff9}-\u{fffb}]/gu;

/** The text with each hidden character as a visible escape, such as `\u{202e}`. */
export function visible(text: string): string {
  return text.replace(HIDDEN, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`);
}
