import { mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { check, testCredentialStore } from "mcp-startup";

/** Stores records in a file, for one process. Several processes need a lock that they share, for example in a database. */
class FileStore {
  #locks = new Map();
  #writing = Promise.resolve();

  constructor(path) {
    this.path = path;
  }

  async load(key) {
    return (await this.#records())[key] ?? null;
  }

  async replace(key, expected, next) {
    // Run the replacements one after another, so that no other write happens between the comparison and the write.
    const replaced = this.#writing.then(async () => {
      const records = await this.#records();
      if ((records[key] ?? null) !== expected) return false;
      if (next === null) delete records[key];
      else records[key] = next;
      await writeFile(`${this.path}.new`, JSON.stringify(records), { mode: 0o600, flush: true });
      await rename(`${this.path}.new`, this.path);
      return true;
    });
    this.#writing = replaced.catch(() => {});
    return await replaced;
  }

  async lock(key) {
    const before = this.#locks.get(key);
    let release;
    this.#locks.set(key, new Promise((resolve) => (release = resolve)));
    await before;
    return release;
  }

  async #records() {
    try {
      return JSON.parse(await readFile(this.path, "utf8"));
    } catch (error) {
      if (error.code === "ENOENT") return {};
      // The message of the original error quotes the file, which contains secrets.
      throw new Error(`${this.path} can't be read (${error.code ?? error.name})`);
    }
  }
}

// In your tests: check that the store meets the contract.
const folder = await mkdtemp(join(tmpdir(), "store-"));
await testCredentialStore(new FileStore(join(folder, "records.json")));
await rm(folder, { recursive: true });

const store = new FileStore("credentials.json");
for await (const { notification } of check({ config: "~/.codex/config.toml", store })) {
  console.log(notification.name, notification.status);
}
