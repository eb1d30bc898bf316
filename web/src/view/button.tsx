import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";

type ButtonProperties = {
  kind?: "primary" | "plain" | "link";
  /** A busy button keeps the focus, and does nothing. */
  isBusy?: boolean;
  isExpanded?: boolean;
  /** Names what the button is about, for a screen reader. */
  about?: string;
  onPress: () => void;
  children: ComponentChildren;
};

export function Button({ kind = "plain", isBusy = false, isExpanded, about, onPress, children }: ButtonProperties) {
  return (
    <button
      type="button"
      class={kind}
      aria-disabled={isBusy}
      aria-expanded={isExpanded}
      onClick={() => {
        if (!isBusy) onPress();
      }}
    >
      {children}
      {about !== undefined && <span class="unseen"> {about}</span>}
    </button>
  );
}

/** A button that copies a text. If the browser does not allow that, the text is shown, selected. */
export function CopyButton({ text, about, children }: { text: string | (() => Promise<string>); about?: string; children: string }) {
  const [state, setState] = useState<{ is: "idle" | "copied" } | { is: "shown" | "failed"; text: string }>({ is: "idle" });
  useEffect(() => {
    if (state.is !== "copied") return;
    const timer = setTimeout(() => setState({ is: "idle" }), 2000);
    return () => clearTimeout(timer);
  }, [state]);
  const copy = async () => {
    let copied: string;
    try {
      copied = typeof text === "string" ? text : await text();
    } catch (error) {
      return setState({ is: "failed", text: error instanceof Error ? error.message : String(error) });
    }
    try {
      await navigator.clipboard.writeText(copied);
      setState({ is: "copied" });
    } catch {
      setState({ is: "shown", text: copied });
    }
  };
  return (
    <>
      <Button onPress={() => void copy()} {...(about === undefined ? {} : { about })}>
        {state.is === "copied" ? "Copied" : children}
      </Button>
      <span class="unseen" role="status">
        {state.is === "copied" && "Copied"}
      </span>
      {state.is === "failed" && (
        <p class="problem" role="alert">
          {state.text}
        </p>
      )}
      {state.is === "shown" && (
        <textarea class="copied" readOnly aria-label="The text to copy" value={state.text} ref={(area) => area?.select()} />
      )}
    </>
  );
}
