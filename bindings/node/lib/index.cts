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
export { decode, decodeLines, encode, StartupTracker } from "./contract.cjs";
export {
  type AuthStatus,
  type AuthStatusOptions,
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
  type TestCredentialStoreOptions,
  testCredentialStore,
  type Watch,
  watch,
} from "./engine.cjs";
export { DecodeError, EncodeError, InsufficientScopeError, InvalidArgumentError, McpStartupError, type McpStartupErrorCode } from "./errors.cjs";
export { type InteractiveSignInOptions, signIn } from "./sign_in.cjs";
export type { CredentialStore, Lease, LeaseState, LeaseTest, PostgresStore } from "./store.cjs";
export { assess, authRequiredReason, authStatusOf, firstRequest, judge, type KnownAuthorization } from "./verdict.cjs";
