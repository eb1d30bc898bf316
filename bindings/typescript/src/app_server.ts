export { InvalidArgumentError } from "./arguments.js";
export {
  AppServerClient,
  type ConnectOptions,
  type Login,
  type RequestOptions,
} from "./app_server/client.js";
export { AppServerError, type AppServerErrorKind, isUnknownMethod } from "./app_server/error.js";
export type * from "./app_server/messages.js";
export type { AppServerNotification, FailureUpdated, LoginCompleted, ToolCallProgress } from "./app_server/notification.js";
export type { NodeWritable, Streams, WebReadable, WebSocketLike, WebWritable } from "./app_server/transport.js";
