import { useId, useState } from "preact/hooks";
import { needsAttention, type Server, stateOf } from "../server.js";
import type { Session } from "../session.js";
import { visible } from "../visible.js";
import { cardId } from "./card.js";
import { Details } from "./details.js";
import { Icon } from "./icon.js";
import { memo } from "./memo.js";

type Properties = { id: string; server: Server; name: string; session: Session };

/** A server in the list of a client. If it needs attention, the row leads to its card. */
export const Row = memo(function Row({ id, server, name, session }: Properties) {
  const [isOpen, setOpen] = useState(false);
  const panel = useId();
  const { tone, label } = stateOf(server);
  const leads = needsAttention(server);
  const press = () => {
    if (!leads) return setOpen(!isOpen);
    const heading = document.getElementById(cardId(server.name));
    heading?.focus({ preventScroll: true });
    heading?.scrollIntoView({ block: "center" });
  };
  return (
    <li class="row">
      <button
        type="button"
        id={id}
        aria-expanded={leads ? undefined : isOpen}
        aria-controls={isOpen && !leads ? panel : undefined}
        onClick={press}
      >
        <Icon name={tone} />
        <span class="name">{visible(name)}</span>{" "}
        <span class={`state ${tone}`}>{label}</span>
        {leads && <span class="unseen">, show what to do</span>}
        <Icon name={leads ? "up" : "chevron"} />
      </button>
      {isOpen && !leads && (
        <div id={panel}>
          <Details server={server} session={session} level="h3" />
        </div>
      )}
    </li>
  );
});
