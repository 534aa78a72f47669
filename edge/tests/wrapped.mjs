// The built edge in a folder of its own, behind an entry that a test writes.
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";

/** Miniflare's options for the edge behind `entry`, which finds it in `./index.js`. */
export function wrapped(entry, files = {}) {
  const folder = mkdtempSync(join(tmpdir(), "darkroom-"));
  after(() => rmSync(folder, { recursive: true }));
  cpSync(new URL("../build", import.meta.url), folder, { recursive: true });
  for (const [name, text] of Object.entries({ "entry.js": entry, ...files })) {
    writeFileSync(join(folder, name), text);
  }
  return { modulesRoot: folder, scriptPath: join(folder, "entry.js") };
}
