import type { PageLinks } from "#fhir/ports";
import { readInteraction } from "#fhir/interaction";
import { joinBytes } from "#fhir/json/bytes";
import { pageBinding, sealedPageIn } from "#gateway/admission/page-links";
import type { GatewayRefusal } from "#gateway/outcome";
import type { Question } from "#gateway/question";
import type { Principal } from "#identity/principal";
import type { MemoryClaim } from "#limits/shared-memory";
import type { Instant } from "#kernel/clock";
import { ok, type Result } from "#kernel/result";
import type { FileProgress } from "#limits/listed-export";
import { ExportAsking, type AskedAnswer, type AskingPorts, type ProvenRequest } from "./asking.ts";
import type { ExportJobs, StoredExport, StoredFile } from "./export-jobs.ts";
import { PageLines } from "./lines.ts";
import { patientsNow, searchesOf } from "./members.ts";

export interface DownloadPorts extends AskingPorts {
  readonly exports: Pick<ExportJobs, "find" | "note">;
  readonly pages: PageLinks;
}

/**
 * The lines of a file: the pages of its searches, each asked, judged, recorded and released as the client's own search
 * is. So no row rests anywhere, and a withdrawal or a denial counts from the next page on. The lines throw when a page
 * is refused.
 *
 * @returns a refusal if the first page is refused.
 */
export async function download(
  file: StoredFile,
  stored: StoredExport,
  asked: ProvenRequest,
  ports: DownloadPorts,
): Promise<Result<AsyncIterable<Uint8Array>, GatewayRefusal>> {
  const client = asked.caller.who.client.id;
  const { base, patients, expires } = stored;
  const reading = new FileReading(client, stored, file, ports);
  const begun = await ExportAsking.begin(asked, expires, ports, (reason) => reading.goesOn(reason));
  if (!begun.ok) return begun;
  const asking = begun.value;
  try {
    const named = await patientsNow(patients, asking, base, ports.clock());
    if (!named.ok) return await ended(named, asking, reading);
    const memory = ports.memory.claim(client);
    const pages = new FilePages(file.type, searchesOf(file, named.value), base, asking, memory, ports);
    const first = await pages.ask();
    return first.ok ? ok(linesOf(first.value, pages, asking, reading)) : await ended(first, asking, reading);
  } catch (fault) {
    await ended(fault, asking, reading);
    throw fault;
  }
}

async function ended<T>(why: T, asking: ExportAsking, reading: FileReading): Promise<T> {
  await asking.end();
  await reading.end();
  return why;
}

async function* linesOf(
  first: AskedAnswer | undefined,
  pages: FilePages,
  asking: ExportAsking,
  reading: FileReading,
): AsyncGenerator<Uint8Array> {
  try {
    for (let page = first; page !== undefined;) {
      yield* pages.linesOf(page, reading);
      const next = await pages.ask();
      if (!next.ok) throw new Error("a page of an export is refused");
      page = next.value;
    }
    reading.isWhole = true;
  } finally {
    pages.end();
    await ended(undefined, asking, reading);
  }
}

/** How far a file is read, for operators. */
class FileReading {
  isWhole = false;
  #rows = 0;
  readonly #client: string;
  readonly #export: string;
  readonly #file: number;
  readonly #ports: DownloadPorts;
  readonly #begun: Instant;

  constructor(client: string, { id, files }: StoredExport, file: StoredFile, ports: DownloadPorts) {
    this.#client = client;
    this.#export = id;
    this.#file = files.indexOf(file);
    this.#ports = ports;
    this.#begun = ports.clock();
  }

  add(rows: number): void {
    this.#rows += rows;
  }

  /** False: the export is over. `reason`: of the refusal that the next page waits for. */
  goesOn(reason: string | undefined): Promise<boolean> {
    return this.#note(reason === undefined ? "reading" : "waits", reason);
  }

  /** A note that fails leaves the note before it. */
  async end(): Promise<void> {
    await this.#note(this.isWhole ? "sent" : "broken").catch(() => undefined);
  }

  #note(state: FileProgress["state"], reason?: string): Promise<boolean> {
    const { exports, clock } = this.#ports;
    const progress = { file: this.#file, state, rows: this.#rows, reason: reason ?? null, at: clock() };
    return exports.note(this.#client, this.#export, this.#begun, progress);
  }
}

/** The pages of a file's searches, one after the other. */
class FilePages {
  readonly #type: StoredFile["type"];
  readonly #base: string;
  readonly #asking: ExportAsking;
  readonly #ports: DownloadPorts;
  readonly #searches: Iterator<string, undefined>;
  #search: string | undefined;
  #nextSearch: string | undefined;
  /** The ids of the rows so far, where a row may meet two searches. */
  readonly #seen: Set<string> | undefined;
  readonly #memory: MemoryClaim;
  #heldBytes = 0; // the first page is within the free MiB
  #place: Question["place"];
  #isBegun = false;

  constructor(
    type: StoredFile["type"],
    searches: Iterator<string, undefined>,
    base: string,
    asking: ExportAsking,
    memory: MemoryClaim,
    ports: DownloadPorts,
  ) {
    this.#type = type;
    this.#searches = searches;
    this.#search = searches.next().value;
    this.#nextSearch = searches.next().value;
    this.#base = base;
    this.#asking = asking;
    this.#memory = memory;
    this.#ports = ports;
    this.#seen = this.#nextSearch === undefined ? undefined : new Set();
  }

  /** Asks for the next page; undefined: there is none. */
  async ask(): Promise<Result<AskedAnswer | undefined, GatewayRefusal>> {
    const search = this.#search;
    if (search === undefined) return ok(undefined);
    const query = this.#place === undefined ? search : "";
    const read = readInteraction("GET", [this.#type], query, this.#base, this.#place?.question);
    if (!read.ok) return read;
    const interaction =
      read.value.kind === "search" && this.#place !== undefined
        ? { ...read.value, posted: this.#place.posted }
        : read.value;
    // A client gets a refusal of the first page with its own `Retry-After`.
    const isFirst = !this.#isBegun;
    this.#isBegun = true;
    return isFirst
      ? this.#asking.ask(interaction)
      : this.#asking.askPatiently(interaction, this.#place, () => this.#makeRoom());
  }

  /** The lines of a page, as its parts come. */
  async *linesOf({ parts, who }: AskedAnswer, reading: FileReading): AsyncGenerator<Uint8Array> {
    const page = new PageLines();
    for await (const part of parts) {
      this.#memory.hold(this.#heldBytes); // a claim that is silent for long ends
      const rows = page.rowsIn(part).filter(({ id }) => this.#isNew(id));
      reading.add(rows.length); // before they leave: a reader that is killed here may have them
      if (rows.length > 0) yield joinBytes(rows.flatMap(({ bytes }) => [bytes, newLine]));
    }
    await this.#turnTo(page.end(), who);
  }

  /** Call this when no more lines are read. */
  end(): void {
    this.#memory.hold(0);
  }

  /** Takes the memory for the ids of a further page. */
  #makeRoom(): void {
    const bytes = this.#seen === undefined ? 0 : (this.#seen.size + rowsOfPage) * idBytes;
    this.#memory.hold(bytes);
    this.#heldBytes = bytes;
  }

  #isNew(id: string | undefined): boolean {
    if (this.#seen === undefined || id === undefined) return true;
    const isNew = !this.#seen.has(id);
    this.#seen.add(id);
    return isNew;
  }

  async #turnTo(next: string | undefined, who: Principal): Promise<void> {
    this.#place = undefined;
    if (next === undefined) {
      this.#search = this.#nextSearch;
      this.#nextSearch = this.#searches.next().value;
      return;
    }
    const page = sealedPageIn(new URL(next).search.slice(1));
    if (page === undefined) throw new Error("an own link has no page");
    const place = await this.#open(page, who);
    if (!place.ok) throw new Error("an own link does not open");
    this.#place = place.value;
  }

  #open({ sealed }: { readonly sealed: string }, who: Principal): ReturnType<PageLinks["open"]> {
    const { pages, clock } = this.#ports;
    return pages.open(sealed, pageBinding(who, this.#type), clock());
  }
}

/** The `_count` of each search. */
export const rowsOfPage = 500;
const idBytes = 90;
const newLine = Uint8Array.of(0x0a);
