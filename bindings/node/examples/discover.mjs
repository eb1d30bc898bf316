import { check, discover } from "mcp-startup";

// Reads files, and starts nothing.
for (const { client, path, error, servers } of await discover()) {
  console.log(`${client}: ${path} ${error?.message ?? ""}`);
  for (const { name, checkable, why } of servers) console.log(`  ${name} ${checkable ? "" : why}`);
}

for await (const { notification } of check({ clients: "all" })) {
  console.log(notification.name, notification.status);
}
