import { visible } from "../visible.js";

/** A message of the program. What it puts between backticks is code. */
export function Message({ text }: { text: string }) {
  const parts = visible(text).split(/`([^`]+)`/);
  return <>{parts.map((part, index) => (index % 2 === 1 ? <code key={index}>{part}</code> : part))}</>;
}
