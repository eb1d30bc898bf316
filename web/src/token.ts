// The token that `mcp-startup open` passes to the page.

const KEY = "token";

/**
 * Returns the token. It arrives in the fragment of the URL, which is never sent over the network, and is removed from the history at
 * once. A reload finds it in the storage of the tab.
 */
export function takeToken(): string | null {
  const token = new URLSearchParams(location.hash.slice(1)).get(KEY);
  if (token === null) return sessionStorage.getItem(KEY);
  history.replaceState(null, "", location.pathname);
  sessionStorage.setItem(KEY, token);
  return token;
}
