// Compiled but never run: a CommonJS module imports the values and the types of the package.

import { decode, type ReceivedNotification, StartupTracker } from "@mcp-startup/protocol";

const tracker: StartupTracker = new StartupTracker();
const received: ReceivedNotification | null = decode("{}");
const name: string | undefined = received?.name;

export = { name, tracker };
