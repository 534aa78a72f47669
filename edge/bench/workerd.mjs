// A workerd of its own for a worker: no proxy before it, its stores in its own process, its CPU
// time as the system counts it.
import { spawn } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { createInterface } from "node:readline";

const root = new URL("../../", import.meta.url);
const require = createRequire(import.meta.url);
const { default: program } = createRequire(require.resolve("wrangler/package.json"))("workerd");
const date = /^compatibility_date = "(.+)"$/m.exec(readFileSync(new URL("wrangler.toml", root), "utf8"))[1];

const OBJECTS = { KEY_ALLOWANCES: "KeyAllowance", FLIGHTS: "Flight", IDEMPOTENCY_KEYS: "IdempotencyKey" };
/** What the system counts CPU time in. */
const TICKS_A_SECOND = 100;

/** In memory where there is such a folder: what a disk takes to write is not asked here. */
const FOLDERS = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();

const text = JSON.stringify;
const list = (items) => `[\n    ${items.join(",\n    ")}\n  ]`;

function modulesIn(folder) {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true });
  const paths = files.filter((file) => file.isFile()).map((file) => join(file.parentPath ?? file.path, file.name));
  const names = paths.map((path) => relative(folder, path)).filter((name) => /\.(js|wasm)$/.test(name));
  // The first one is the worker.
  return names.sort((a, b) => (b === "index.js") - (a === "index.js"));
}

function config(folder, variables) {
  const module = (name) => {
    const kind = name.endsWith(".wasm") ? "wasm" : "esModule";
    return `(name = ${text(name)}, ${kind} = embed ${text(`worker/${name}`)})`;
  };
  const modules = modulesIn(join(folder, "worker"));
  const source = modules.map((name) => readFileSync(join(folder, "worker", name), "latin1")).join("");
  // The peer has fewer.
  const objects = Object.entries(OBJECTS).filter(([, name]) => source.includes(`export class ${name} `));
  const bindings = [
    ...Object.entries(variables).map(([name, value]) => `(name = ${text(name)}, text = ${text(value)})`),
    ...["KEYS", "RECIPES"].map((name) => `(name = "${name}", kvNamespace = (name = "stores", entrypoint = "kv"))`),
    ...objects.map(([name, type]) => `(name = "${name}", durableObjectNamespace = "${type}")`),
  ];
  const namespace = ([, type]) => `(className = "${type}", uniqueKey = "${type}", enableSql = true)`;
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "worker", worker = .worker),
    (name = "stores", worker = .stores),
    (name = "objects", disk = (path = ${text(join(folder, "objects"))}, writable = true)),
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "worker")],
);
const worker :Workerd.Worker = (
  compatibilityDate = "${date}",
  modules = ${list(modules.map(module))},
  bindings = ${list(bindings)},
  globalOutbound = (name = "stores", entrypoint = "origin"),
  cacheApiOutbound = (name = "stores", entrypoint = "cache"),
  durableObjectNamespaces = ${list(objects.map(namespace))},
  durableObjectStorage = (localDisk = "objects"),
);
const stores :Workerd.Worker = (
  compatibilityDate = "${date}",
  modules = [(name = "stores.js", esModule = embed "stores.js")],
);
`;
}

export class Workerd {
  /** Starts the worker in a folder, and waits until it listens. */
  static async start(source, variables) {
    const workerd = new Workerd();
    try {
      await workerd.#start(source, variables);
      return workerd;
    } catch (error) {
      await workerd.stop();
      throw error;
    }
  }

  async #start(source, variables) {
    this.folder = mkdtempSync(join(FOLDERS, "darkroom-bench-"));
    mkdirSync(join(this.folder, "objects"));
    cpSync(source, join(this.folder, "worker"), { recursive: true });
    cpSync(new URL("stores.js", import.meta.url), join(this.folder, "stores.js"));
    writeFileSync(join(this.folder, "config.capnp"), config(this.folder, variables));
    const serve = ["serve", "config.capnp", "--control-fd=3"];
    this.process = spawn(program, serve, { cwd: this.folder, stdio: ["ignore", "ignore", "pipe", "pipe"] });
    this.ended = new Promise((resolve) => this.process.once("close", resolve));
    this.said = "";
    this.process.stderr.setEncoding("utf8").on("data", (said) => (this.said += said));
    for await (const line of createInterface({ input: this.process.stdio[3] })) {
      const { event, port } = JSON.parse(line);
      if (event !== "listen") continue;
      this.port = port;
      this.url = `http://127.0.0.1:${port}`;
      return;
    }
    throw new Error(`workerd ended: ${this.said}`);
  }

  /** Seconds of CPU time so far, user and system together (proc_pid_stat(5)). */
  cpu() {
    const stat = readFileSync(`/proc/${this.process.pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[11]) + Number(fields[12])) / TICKS_A_SECOND;
  }

  async stop() {
    this.process?.kill("SIGKILL");
    await this.ended;
    if (this.folder) rmSync(this.folder, { recursive: true });
  }
}

export const version = () => require(createRequire(require.resolve("wrangler/package.json")).resolve("workerd/package.json")).version;
