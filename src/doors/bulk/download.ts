import type { PageLinks } from "#fhir/ports";
import { readInteraction } from "#fhir/interaction";
import { joinBytes } from "#fhir/json/bytes";
import { readObject, textAt } from "#fhir/json/json";
import { pageBinding, sealedPageIn } from "#gateway/admission/page-links";
import type { GatewayRefusal } from "#gateway/outcome";
import type { Question } from "#gateway/question";
import type { Principal } from "#identity/principal";
import { ok, type Result } from "#kernel/result";
import { ExportAsking, type AskingPorts, type ProvenRequest } from "./asking.ts";
import type { StoredExport, StoredFile } from "./export-jobs.ts";
import { linesOf } from "./lines.ts";
import { patientsNow, searchesOf } from "./members.ts";

export interface DownloadPorts extends AskingPorts {
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
  { base, patients }: StoredExport,
  asked: ProvenRequest,
  ports: DownloadPorts,
): Promise<Result<AsyncIterable<Uint8Array>, GatewayRefusal>> {
  const begun = await ExportAsking.begin(asked, ports);
  if (!begun.ok) return begun;
  const asking = begun.value;
  try {
    const named = await patientsNow(patients, asking, base, ports.clock());
    if (!named.ok) return await ended(named, asking);
    const pages = new FilePages(file.type, searchesOf(file, named.value), base, asking, ports);
    const first = pages.hasNext ? await pages.next() : ok(new Uint8Array());
    return first.ok ? ok(rest(first.value, pages, asking)) : await ended(first, asking);
  } catch (fault) {
    await asking.end();
    throw fault;
  }
}

async function ended<T>(refusal: T, asking: ExportAsking): Promise<T> {
  await asking.end();
  return refusal;
}

async function* rest(first: Uint8Array, pages: FilePages, asking: ExportAsking): AsyncGenerator<Uint8Array> {
  try {
    yield first;
    while (pages.hasNext) {
      const page = await pages.next();
      if (!page.ok) throw new Error("a page of an export is refused");
      yield page.value;
    }
  } finally {
    await asking.end();
  }
}

/** The pages of a file's searches, one after the other. */
class FilePages {
  readonly #type: StoredFile["type"];
  readonly #base: string;
  readonly #asking: ExportAsking;
  readonly #ports: DownloadPorts;
  readonly #searches: string[];
  /** The ids of the rows so far, where a row may meet two searches: some 90 bytes a row. */
  readonly #seen: Set<string> | undefined;
  #place: Question["place"];
  #isBegun = false;

  constructor(
    type: StoredFile["type"],
    searches: readonly string[],
    base: string,
    asking: ExportAsking,
    ports: DownloadPorts,
  ) {
    this.#type = type;
    this.#searches = [...searches];
    this.#base = base;
    this.#asking = asking;
    this.#ports = ports;
    this.#seen = searches.length > 1 ? new Set() : undefined;
  }

  get hasNext(): boolean {
    return this.#searches.length > 0;
  }

  /** The lines of the next page. */
  async next(): Promise<Result<Uint8Array, GatewayRefusal>> {
    const query = this.#place === undefined ? (this.#searches[0] ?? "") : "";
    const read = readInteraction("GET", [this.#type], query, this.#base, this.#place?.question);
    if (!read.ok) return read;
    const interaction =
      read.value.kind === "search" && this.#place !== undefined
        ? { ...read.value, posted: this.#place.posted }
        : read.value;
    // A client gets a refusal of the first page with its own `Retry-After`.
    const answer = await (this.#isBegun
      ? this.#asking.askPatiently(interaction, this.#place)
      : this.#asking.ask(interaction));
    this.#isBegun = true;
    if (!answer.ok) return answer;
    const { rows, next } = linesOf(answer.value.parts);
    const fresh = rows.filter((row) => this.#isNew(row));
    await this.#turnTo(next, answer.value.who);
    return ok(joinBytes(fresh.flatMap((row) => [row, newLine])));
  }

  #isNew(row: Uint8Array): boolean {
    if (this.#seen === undefined) return true;
    const resource = readObject(row);
    const id = (resource && textAt(resource, "id")) ?? "";
    if (this.#seen.has(id)) return false;
    this.#seen.add(id);
    return true;
  }

  async #turnTo(next: string | undefined, who: Principal): Promise<void> {
    this.#place = undefined;
    if (next === undefined) {
      this.#searches.shift();
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

const newLine = Uint8Array.of(0x0a);
