import type { Place as PlaceOf } from "../server.js";
import { visible } from "../visible.js";
import { CopyButton } from "./button.js";

/** Where an entry is. A page can't open a file, so the path can be copied: with the line, as editors accept it. */
export function Place({ place: { path, line, key }, about }: { place: PlaceOf; about: string }) {
  return (
    <div class="place">
      <dl>
        <dt>File</dt>
        <dd>
          <code>{visible(path)}</code>
        </dd>
        {line !== null && (
          <>
            <dt>Line</dt>
            <dd>{line}</dd>
          </>
        )}
        {key !== null && (
          <>
            <dt>Key</dt>
            <dd>
              <code>{visible(key)}</code>
            </dd>
          </>
        )}
      </dl>
      <CopyButton text={line === null ? path : `${path}:${line}`} about={about}>
        Copy path
      </CopyButton>
    </div>
  );
}
