import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { sampleResources, searchset, uuid } from "../data/payloads.ts";
import { ratioOf, type Measure } from "../measures.ts";
import { startPhylax } from "../peers/phylax.ts";
import { startPagingOrigin } from "./paging-origin.ts";

const rowCount = 200;
const pageRows = 10;
const publicBase = /^https:\/\/[^/]+\/v1\/fhir\/main\//u;

interface Page {
  readonly entry?: readonly { readonly resource: { readonly id: string } }[];
  readonly link?: readonly { readonly relation: string; readonly url: string }[];
}

/**
 * Reads a patient's laboratory results page by page, ten at a time, all of them visible, and counts what the
 * gateway asks of an origin that honours `_count`. The counts do not depend on the machine.
 */
export async function runPagingGroup(folder: string): Promise<readonly Measure[]> {
  const patient = uuid("paged");
  const { laboratory } = await sampleResources();
  const request = `Observation?patient=${patient}`;
  const list = searchset(request, laboratory, patient, Number.MAX_SAFE_INTEGER, 0, rowCount);
  const { entry = [] }: Page = JSON.parse(list);
  const origin = await startPagingOrigin(entry, request);
  const stack = join(folder, "paging");
  mkdirSync(stack);
  try {
    const { peer } = await startPhylax(stack, origin.base, {
      bundles: join(folder, "bundles"),
      form: "minified",
      isInspected: false,
    });
    const [lines = []] = await peer.headers("hot");
    const headers = Object.fromEntries(lines.map((line) => line.split(/: (?<value>.*)/su).slice(0, 2)));
    const seen = new Set<string>();
    let pages = 0;
    for (let path: string | undefined = `${request}&_count=${pageRows}`; path !== undefined; pages++) {
      const page = await ask(`http://127.0.0.1:${peer.target.port}/v1/fhir/main/${path}`, headers);
      for (const { resource } of page.entry ?? []) seen.add(resource.id);
      path = page.link?.find(({ relation }) => relation === "next")?.url.replace(publicBase, "");
    }
    if (seen.size !== rowCount) throw new Error(`${seen.size} of ${rowCount} rows were answered`);
    return [
      ratioOf("origin-rows-per-row", [{ a: origin.rowsSent(), b: seen.size }]),
      ratioOf("origin-requests-per-request", [{ a: origin.requests(), b: pages }]),
    ];
  } finally {
    origin.close();
  }
}

async function ask(url: string, headers: Record<string, string>): Promise<Page> {
  const response = await fetch(url, { headers });
  const text = await response.text();
  if (response.status !== 200) throw new Error(`a page is answered with ${response.status}: ${text}`);
  const page: Page = JSON.parse(text);
  return page;
}
