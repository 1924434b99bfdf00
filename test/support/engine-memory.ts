// Run as a process of its own, which prints by how many MiB its resident memory rose while it made a page of an
// origin's entries: `node test/support/engine-memory.ts COUNT BYTES SHOWN`.
import { readFileSync } from "node:fs";
import { EntrySplitter } from "#fhir/json/entry-splitter";
import { isReading, readInteraction } from "#fhir/interaction";
import { parseScopes } from "#identity/scopes";
import { instant } from "#kernel/clock";
import { Page } from "#phi/page";
import { compilePolicy } from "#policy/compile";
import { evaluate } from "#policy/evaluate";
import { Residences } from "#residence/row-residences";
import { origin, policy, rule } from "../policy/granting.ts";

const utf8 = (text: string) => new TextEncoder().encode(text);
const [count = 1, bytes = 100] = process.argv.slice(2, 4).map(Number);
const shown = (process.argv[4] ?? "status").split(",");
const piece = utf8("n".repeat(65_536));

function memory(name: "VmRSS" | "VmHWM"): number {
  const found = new RegExp(`^${name}:\\s+(\\d+) kB$`, "mu").exec(readFileSync("/proc/self/status", "utf8"));
  return Number(found?.[1]) / 1_024;
}

/** The body of an origin's page, in chunks of at most 64 KiB. */
function* pageOf(entries: number, length: number): Generator<Uint8Array> {
  yield utf8('{"resourceType":"Bundle","type":"searchset","entry":[');
  for (let index = 0; index < entries; index += 1) {
    const before =
      `${index === 0 ? "" : ","}{"resource":{"resourceType":"Observation","id":"o${index}","status":"final",` +
      '"code":{"text":"c"},"subject":{"reference":"Patient/p"},"note":[{"text":"';
    yield utf8(before);
    for (let left = length; left > 0; left -= piece.length)
      yield piece.subarray(0, Math.min(left, piece.length));
    yield utf8('"}]},"search":{"mode":"match"}}');
  }
  yield utf8("]}");
}

function makePage(entries: number, length: number): number {
  const interaction = readInteraction("GET", ["Observation"], "_count=1000");
  const scopes = parseScopes("system/*.rs");
  if (!interaction.ok || !isReading(interaction.value) || !scopes.ok) throw new Error("no search");
  const compiled = compilePolicy(policy(rule(["Observation"], shown)), "sha256:test");
  const grant = evaluate(compiled, { scopes: scopes.value, patient: undefined }, interaction.value);
  if (!grant.ok || grant.value.expects.kind !== "search") throw new Error("not granted");
  const bases = {
    origin,
    public: "https://api.example",
    name: "main",
    residences: new Residences(instant(0)),
  };
  const page = new Page(grant.value, grant.value.expects, bases);
  const [splitter, ahead] = [new EntrySplitter(), page.ahead(() => "row")];
  for (const chunk of pageOf(entries, length)) {
    const read = splitter.read(chunk, (entry) => (page.offer(entry).ok ? undefined : "refused"), ahead);
    if (!read.ok || read.value !== undefined) throw new Error("refused");
  }
  const disclosed = page.finish(undefined, true);
  if (!disclosed.ok) throw new Error(disclosed.error.reason);
  return disclosed.value.windows.reduce((sum, { body }) => sum + body.length, 0);
}

for (let time = 0; time < 100; time += 1) makePage(20, 500); // compiled, and the heap has its usual size
const before = memory("VmRSS");
const length = makePage(count, bytes);
console.log(JSON.stringify({ length, growthMiB: memory("VmHWM") - before }));
