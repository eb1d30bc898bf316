import { join } from "node:path";
import { argument, callable, number, optionsOf, type Rules, text, url } from "./arguments.cjs";
import { nativeOptions, SIGN_IN_OPTIONS, type SignInOptions, saveFirst } from "./engine.cjs";
import { answer } from "./errors.cjs";
import * as native from "../native.cjs";

/** The options of `signIn`. */
export type InteractiveSignInOptions = SignInOptions & {
  /**
   * A function that receives the URL of the sign-in page, instead of opening the user's default browser. The URL contains secrets. If
   * the function throws, the sign-in ends with its error.
   */
  openBrowser?: ((url: string) => unknown) | undefined;
  /** How long to wait for the browser, in milliseconds. By default, 5 min. */
  browserTimeoutMs?: number | undefined;
  /** The port on loopback that the browser returns to. By default, the configured one, or a free one. */
  callbackPort?: number | undefined;
  /**
   * The redirect URI. By default, the configured one, or `http://127.0.0.1:PORT/callback`. One that is not on loopback must lead to the
   * port, for example through a proxy.
   */
  callbackUrl?: string | URL | undefined;
};

const INTERACTIVE_OPTIONS: Rules<InteractiveSignInOptions> = {
  ...SIGN_IN_OPTIONS,
  openBrowser: callable(),
  browserTimeoutMs: number,
  callbackPort: number,
  callbackUrl: url,
};

/**
 * Signs in to a server in the user's browser: opens the sign-in page, waits on loopback until the browser returns, and stores the granted
 * credentials.
 *
 * Aborting the signal ends the wait, and changes nothing. If the browser has already returned, the tokens are still stored, before the
 * process exits.
 *
 * @throws {McpStartupError} If the sign-in failed. Its `code` is `MCP_STARTUP_SIGN_IN`; stored credentials are unchanged. Its `kind` is
 * `expired` if the browser did not return in time, and `unavailable` if no browser could be opened.
 */
export async function signIn(server: string, options: InteractiveSignInOptions = {}): Promise<void> {
  const { openBrowser, ...rest } = optionsOf(INTERACTIVE_OPTIONS, options);
  const name = text(argument("server"), server);
  const signingIn = new native.InteractiveSignIn(...nativeOptions(rest), name);
  // Ends the browser's helper with the sign-in.
  const ended = new AbortController();
  try {
    const { authorizationUrl } = (await answer((done) => signingIn.begin(done), rest.signal)) as { authorizationUrl: string };
    const finished = answer((done) => signingIn.finish(done), rest.signal);
    const show = openBrowser ?? ((url: string) => openDefaultBrowser(url, ended.signal));
    const shown = (async () => show(authorizationUrl))();
    // The user can complete the sign-in before the browser, or the function, has returned.
    await Promise.race([finished, shown.then(() => finished)]);
  } finally {
    signingIn.close();
    ended.abort();
    saveFirst();
  }
}

async function openDefaultBrowser(url: string, signal: AbortSignal): Promise<void> {
  // The program opens the browser if a variable such as `PATH` has a relative folder. Electron's executable is the application.
  const program = process.versions.electron === undefined ? [process.execPath, join(__dirname, "../bin/mcp-startup.mjs")] : [];
  await answer((done) => native.openBrowser(url, program, done), signal);
}
