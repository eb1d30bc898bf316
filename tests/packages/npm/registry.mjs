// Serves npm packages on a free port of loopback. It has no other package, and asks no other registry.
//
//     import { serve } from "./registry.mjs";       const { url, close } = await serve(FILES);
//     node registry.mjs READY FILE...                writes its URL to the file READY, and serves until it is ended

import { execFile } from "node:child_process";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { runServer } from "verdaccio";

/** Serves the packed packages. `close` ends the registry and removes its files. */
export async function serve(files) {
  const folder = mkdtempSync(join(tmpdir(), "mcp-startup-registry-"));
  const everyone = { access: "$all", publish: "$all" };
  const server = await runServer({
    configPath: join(folder, "config.yaml"),
    self_path: folder,
    storage: join(folder, "storage"),
    auth: { htpasswd: { file: join(folder, "htpasswd"), max_users: -1 } },
    uplinks: {},
    packages: { "@*/*": everyone, "**": everyone },
    max_body_size: "100mb",
    web: { enable: false },
    log: { type: "stdout", format: "pretty", level: "warn" },
  });
  await new Promise((resolve, reject) => server.once("error", reject).listen(0, "127.0.0.1", resolve));
  const address = `127.0.0.1:${server.address().port}`;
  const close = () => {
    server.closeAllConnections();
    server.close();
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    // npm does not publish without a token, and this registry accepts every token.
    const options = ["--registry", `http://${address}/`, `--//${address}/:_authToken=anyone`, "--loglevel", "error"];
    for (const file of files) {
      await promisify(execFile)("npm", ["publish", file, "--ignore-scripts", "--provenance=false", ...options]);
    }
  } catch (error) {
    close();
    throw error;
  }
  return { url: `http://${address}/`, close };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [ready, ...files] = process.argv.slice(2);
  const { url, close } = await serve(files);
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"]) process.once(signal, () => { close(); process.exit(0); });
  writeFileSync(`${ready}.new`, url);
  renameSync(`${ready}.new`, ready);
}
