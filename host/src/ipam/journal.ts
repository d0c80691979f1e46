import { type FileHandle, mkdir, open, readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { syncFolder, writeDurably } from "../durable-file.js";
import { messageOf, SluiceError, systemCode } from "../errors.js";
import { faultPoint } from "../fault.js";

const NEWLINE = 0x0a;

/**
 * Records in a file, one JSON text a line, only ever added. A record that append() has answered for is there after any crash; one that it
 * was writing is there whole or not at all.
 */
export class Journal {
  private waiting: { line: string; done: () => void; failed: (error: SluiceError) => void }[] = [];
  private working: Promise<void> | undefined;

  private constructor(
    private readonly file: string,
    private handle: FileHandle,
    private records: number,
  ) {}

  /** @throws SluiceError "journal-corrupt" rather than forget a record, "journal-unusable" */
  static async open(file: string): Promise<{ journal: Journal; records: unknown[] }> {
    return usable(file, async () => {
      await mkdir(dirname(file), { recursive: true, mode: 0o700 });
      const bytes = await readIfThere(file);
      const whole = bytes.lastIndexOf(NEWLINE) + 1;
      const records = parse(bytes.subarray(0, whole).toString("utf8"), file);
      const handle = await open(file, "a", 0o600);
      // What a crash cut short was never answered for.
      await handle.truncate(whole);
      await handle.sync();
      await syncFolder(dirname(file));
      return { journal: new Journal(file, handle, records.length), records };
    });
  }

  /** How many there are in the file. */
  get length(): number {
    return this.records;
  }

  /** Resolves once the record is on the disk. Those that come at once share one write. @throws SluiceError "journal-unusable" */
  append(record: unknown): Promise<void> {
    const added = new Promise<void>((done, failed) => {
      this.waiting.push({ line: `${JSON.stringify(record)}\n`, done, failed });
    });
    this.working ??= this.writeAll();
    return added;
  }

  /**
   * Takes the place of all records: a crash leaves the old ones or the new ones. @param make of what the records added up to now, and
   * those still on their way, come to
   */
  async replace(make: () => readonly unknown[]): Promise<void> {
    while (this.working !== undefined) await this.working;
    const records = make();
    const replaced = usable(this.file, async () => {
      await writeDurably(this.file, records.map((record) => `${JSON.stringify(record)}\n`).join(""));
      await syncFolder(dirname(this.file));
      const old = this.handle;
      this.handle = await open(this.file, "a", 0o600);
      await old.close();
      this.records = records.length;
    });
    const next = () => this.writeAll();
    this.working = replaced.then(next, next);
    return replaced;
  }

  async close(): Promise<void> {
    await this.working;
    await this.handle.close();
  }

  private async writeAll(): Promise<void> {
    while (this.waiting.length > 0) {
      const batch = this.waiting;
      this.waiting = [];
      try {
        await usable(this.file, async () => {
          await this.handle.writeFile(batch.map(({ line }) => line).join(""));
          faultPoint("journal-written");
          await this.handle.datasync();
        });
        this.records += batch.length;
        for (const { done } of batch) done();
      } catch (error) {
        for (const { failed } of batch) failed(error as SluiceError);
      }
    }
    this.working = undefined;
  }
}

function parse(text: string, file: string): unknown[] {
  return text
    .split("\n")
    .slice(0, -1)
    .map((line, index) => {
      try {
        return JSON.parse(line) as unknown;
      } catch (error) {
        const message = `${messageOf(error)}; move the file away once no pod of this node has an address of its blocks`;
        throw SluiceError.of("journal-corrupt", `${file}:${index + 1}`, message, { cause: error });
      }
    });
}

async function readIfThere(file: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (error) {
    if (systemCode(error) === "ENOENT") return Buffer.alloc(0);
    throw error;
  }
}

async function usable<Value>(file: string, work: () => Promise<Value>): Promise<Value> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof SluiceError) throw error;
    throw SluiceError.of("journal-unusable", file, messageOf(error), { cause: error });
  }
}
