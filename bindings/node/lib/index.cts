/**
 * Starts MCP servers and reports why a server did not start, as one typed answer.
 *
 * @packageDocumentation
 */
export type * from "@mcp-startup/protocol" with { "resolution-mode": "import" };
export { type AuthorizedFetchOptions, authorizedFetch } from "./authorized_fetch.cjs";
export {
  type ClientFile,
  type ClientFileProblem,
  type ClientServer,
  type Clients,
  type DiscoverOptions,
  discover,
  type NotChecked,
  notChecked,
} from "./clients.cjs";
export {
  type AppliedLines,
  type DecodedLines,
  decode,
  decodeLines,
  encode,
  type LineError,
  StartupTracker,
} from "./contract.cjs";
export {
  type AuthStatus,
  authorization,
  authStatus,
  beginSignIn,
  type Check,
  check,
  finishSignIn,
  type Options,
  type Rejected,
  type ServerEntry,
  type SignedOut,
  type SignInBegun,
  type SignInOptions,
  type StartupEvent,
  signOut,
  testCredentialStore,
  type Watch,
  watch,
} from "./engine.cjs";
export { DecodeError, InsufficientScopeError, McpStartupError, type McpStartupErrorCode } from "./errors.cjs";
export { type InteractiveSignInOptions, signIn } from "./sign_in.cjs";
export type { CredentialStore, Lease, LeaseState, LeaseTest, PostgresStore } from "./store.cjs";
export { assess, authRequiredReason, authStatusOf, firstRequest, judge, type KnownAuthorization } from "./verdict.cjs";
