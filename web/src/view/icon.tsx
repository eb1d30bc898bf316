import type { Tone } from "../server.js";

const PATHS: Record<Tone | "chevron" | "up", string> = {
  good: "M6.2 10.2l2.6 2.6 5-5.4",
  asks: "M10 5.8v5M10 13.9v.1",
  bad: "M7.2 7.2l5.6 5.6M12.8 7.2l-5.6 5.6",
  busy: "",
  quiet: "M6.8 10h6.4",
  chevron: "M7.5 5l5 5-5 5",
  up: "M10 15.5v-11M5.5 9L10 4.5 14.5 9",
};

/** A decoration: the state is also a text. */
export function Icon({ name }: { name: keyof typeof PATHS }) {
  return (
    <svg class={`icon ${name}`} viewBox="0 0 20 20" width="20" height="20" aria-hidden="true">
      {name !== "chevron" && name !== "up" && <circle cx="10" cy="10" r="8" />}
      <path d={PATHS[name]} />
    </svg>
  );
}
