const PATIENCE_MS = 60_000;

/** Waits for TiTiler, which starts beside the servers that Playwright waits for. */
export default async function ready(): Promise<void> {
  const port = Number(process.env["UI_PORT"] ?? 4170);
  await Promise.all([port + 2, port + 4].map(answers));
}

async function answers(port: number): Promise<void> {
  const late = Date.now() + PATIENCE_MS;
  while (!(await fetch(`http://127.0.0.1:${port}/healthz`).then(({ ok }) => ok, () => false))) {
    if (Date.now() > late) throw new Error(`TiTiler does not answer on port ${port}`);
    await new Promise((done) => setTimeout(done, 200));
  }
}
