import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { test } from "vitest";
import { median } from "../../bench/median.ts";
import { connect, type Answer, type Connection } from "../../bench/load/connection.ts";
import { requestText } from "../../bench/load/order.ts";
import { startPhylax } from "../../bench/peers/phylax.ts";
import { must } from "../support/must.ts";

const greedyConnections = 32;
const reads = 100;
// Without equal parts of the thread some ten pages leave while a read waits (ADR 134).
const pagesMax = 4;

const page = (base: string): string => {
  const entry = Array.from({ length: 1_000 }, (_, n) => ({
    fullUrl: `${base}/Observation/o${n}`,
    resource: {
      resourceType: "Observation",
      id: `o${n}`,
      status: "final",
      category: [
        {
          coding: [
            { system: "http://terminology.hl7.org/CodeSystem/observation-category", code: "laboratory" },
          ],
        },
      ],
      code: { coding: [{ system: "http://loinc.org", code: "2339-0" }], text: "Glucose" },
      subject: { reference: "Patient/p" },
      effectiveDateTime: "2026-01-01T00:00:00Z",
      valueQuantity: { value: n, unit: "mg/dL", system: "http://unitsofmeasure.org", code: "mg/dL" },
    },
    search: { mode: "match" },
  }));
  const link = [{ relation: "self", url: `${base}/Observation?patient=p` }];
  return JSON.stringify({ resourceType: "Bundle", type: "searchset", total: entry.length, link, entry });
};

/** An origin with one patient, and one page of 1,000 rows. */
async function startPages() {
  let body = "";
  const server = createServer((request, response) => {
    const isPage = request.url?.includes("Observation") === true;
    response.writeHead(200, { "content-type": "application/fhir+json" });
    response.end(
      isPage ? body : JSON.stringify({ resourceType: "Patient", id: "p", birthDate: "1990-01-01" }),
    );
  });
  await new Promise<void>((listens) => server.listen(0, "127.0.0.1", listens));
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}/fhir`;
  body = page(base);
  return { base, close: () => server.closeAllConnections() ?? server.close() };
}

const ask = (connection: Connection, request: Buffer) =>
  new Promise<Answer | undefined>((answered) => connection.ask(request, answered));

test(
  "while a read waits, fewer than four pages leave of a client that asks for pages of 1,000 rows on 32 connections, by the median",
  {
    timeout: 120_000,
  },
  async ({ expect, onTestFinished }) => {
    const folder = mkdtempSync(join(tmpdir(), "phylax-thread-"));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const origin = await startPages();
    onTestFinished(() => void origin.close());
    const deployment = { bundles: join(folder, "bundles"), form: "minified", isInspected: false } as const;
    const { peer, process } = await startPhylax(folder, origin.base, deployment);
    onTestFinished(() => process.close());
    const tokens = await peer.headers("hot");
    const [greedy, honest] = [tokens[0], tokens[1]].map((lines) => must(lines));
    const request = (path: string, lines: readonly string[] = []) =>
      Buffer.from(requestText(`main/${path}`, peer.target.port, lines));

    const over = new AbortController();
    const pages = { answered: 0, refused: 0 };
    const greedyLoop = async () => {
      const connection = await connect(peer.target);
      while (!over.signal.aborted) {
        const answer = await ask(connection, request("Observation?patient=p&_count=1000", greedy));
        if (answer?.status === 200) pages.answered += 1;
        else pages.refused += 1;
      }
      connection.close();
    };
    const going = Array.from({ length: greedyConnections }, greedyLoop);
    await wait(5_000); // the code is compiled, and the burst of the first second is over
    const connection = await connect(peer.target);
    const meanwhile: number[] = [];
    for (let read = 0; read < reads; read += 1) {
      const before = pages.answered;
      const answer = await ask(connection, request("Patient/p", honest));
      expect(answer?.status).toBe(200);
      meanwhile.push(pages.answered - before);
      await wait(30);
    }
    over.abort();
    connection.close();
    await Promise.all(going);
    console.log(JSON.stringify({ pages, median: median(meanwhile), most: Math.max(...meanwhile) }));
    expect(pages.answered, "the other client is answered, too").toBeGreaterThan(reads);
    expect(median(meanwhile)).toBeLessThan(pagesMax);
  },
);
