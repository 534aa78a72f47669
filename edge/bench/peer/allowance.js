// One key's books, in its Durable Object's database.
const QUOTAS = ["requests", "images"];

export class KeyAllowance {
  constructor(state) {
    this.storage = state.storage;
    this.sql = state.storage.sql;
    this.sql.exec("CREATE TABLE IF NOT EXISTS used (what TEXT PRIMARY KEY, window INTEGER NOT NULL, count INTEGER NOT NULL)");
    this.sql.exec(`CREATE TABLE IF NOT EXISTS open_jobs (id TEXT PRIMARY KEY, account TEXT NOT NULL, images INTEGER NOT NULL,
      window INTEGER NOT NULL, since INTEGER NOT NULL)`);
  }

  async fetch(request) {
    const { take, ended } = await request.json();
    return Response.json(take ? await this.take(take) : this.end(ended));
  }

  /** Nobody is asked what became of open jobs: none is left open here. */
  async alarm() {}

  async take({ allowance, job }) {
    const now = Date.now();
    let refused = this.takeSome("requests", allowance.requests, 1, now) ? null : "requests";
    if (!refused && !this.isOpen(job.id)) {
      const window = this.takeSome("images", allowance.images, job.images, now);
      if (window) {
        this.sql.exec("INSERT INTO open_jobs VALUES (?, ?, ?, ?, ?)", job.id, job.account, job.images, window, now);
      } else refused = "images";
    }
    if (!refused && (await this.storage.getAlarm()) === null) await this.storage.setAlarm(now + 60_000);
    const left = QUOTAS.map((what) => [what, this.left(what, allowance[what], now)]);
    return { refused, ...Object.fromEntries(left) };
  }

  end({ job, made }) {
    const [ended] = this.sql.exec("DELETE FROM open_jobs WHERE id = ? RETURNING images, window", job).toArray();
    const used = this.used("images");
    if (ended && !made && used.window === ended.window) {
      this.set("images", used.window, Math.max(0, used.count - ended.images));
    }
    return null;
  }

  /** The window that it was taken from; none where too little is left. */
  takeSome(what, { limit, window: seconds }, amount, now) {
    const window = Math.floor(now / 1000 / seconds);
    const used = this.used(what);
    const count = (used.window === window ? used.count : 0) + amount;
    if (count > limit) return null;
    this.set(what, window, count);
    return window;
  }

  left(what, { limit, window: seconds }, now) {
    const window = Math.floor(now / 1000 / seconds);
    const used = this.used(what);
    const remaining = Math.max(0, limit - (used.window === window ? used.count : 0));
    return { remaining, resets_in: Math.max(1, Math.ceil(((window + 1) * seconds * 1000 - now) / 1000)) };
  }

  isOpen(id) {
    return this.sql.exec("SELECT 1 FROM open_jobs WHERE id = ?", id).toArray().length > 0;
  }

  used(what) {
    const [used] = this.sql.exec("SELECT window, count FROM used WHERE what = ?", what).toArray();
    return used ?? { window: 0, count: 0 };
  }

  set(what, window, count) {
    this.sql.exec("INSERT OR REPLACE INTO used VALUES (?, ?, ?)", what, window, count);
  }
}
