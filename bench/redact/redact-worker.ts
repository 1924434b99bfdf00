// Cuts a body many times by the gateway's own way from an origin's answer to the bytes that leave, or does the same
// number of JSON.parse and JSON.stringify. PUT /NAME loads a subject, POST /NAME works on it. The benchmark reads the
// CPU time from outside, because the runtime's clock stands still while a Worker computes.
import { cutInForm } from "#deid/bytes/cut-answer";
import type { Codes } from "#deid/codes";
import type { ShownAnswer } from "#deid/form-answer";
import { isReading, readInteraction } from "#fhir/interaction";
import type { JsonObject } from "#fhir/json/json";
import type { OriginBody, Origins } from "#fhir/ports";
import { fillPage } from "#gateway/read/fill-page";
import { OriginSession } from "#gateway/origin/origin-session";
import { parseScopes } from "#identity/scopes";
import { instant } from "#kernel/clock";
import type { CodeBook } from "#platform/codes/isolate/code-book";
import { isolateCodes } from "#platform/codes/isolate/isolate-codes";
import type { DeidForm } from "#policy/form/fates";
import { ok, type Result } from "#kernel/result";
import { Discloser } from "#phi/disclose";
import type { Disclosure } from "#phi/disclosure";
import { compilePolicy } from "#policy/compile";
import { parsePolicyDocument } from "#policy/document";
import { ConsentBook } from "#policy/consent/consent-book";
import { readConsent } from "#policy/consent/read-consent";
import { evaluate } from "#policy/evaluate";
import type { Grant } from "#policy/grant";
import type { RedactHow, RedactSubject } from "./cases.ts";

/** What to do how often. The answer is the number of bytes that left, or with `show` the bytes. */
export interface RedactTask {
  readonly how: RedactHow;
  readonly times: number;
  readonly show: boolean;
}

const base = "https://phylax.bench.example/v1/fhir/main";

/** A subject that is loaded. */
interface Loaded {
  readonly grant: Grant;
  readonly originBase: string;
  readonly body: Uint8Array;
  readonly origins: Origins;
  /** An origin whose body arrives in pieces of 64 KiB. */
  readonly inWindows: Origins;
  /** The answer that the form is made of. */
  shown: Uint8Array;
  /** The codes of the answer's rows, once the first run has named them. */
  readonly codes: Map<string, string>;
}

interface RedactEnv {
  readonly JOBS: Pick<CodeBook, "inForm" | "codesOf" | "namesOf">;
}
const loaded = new Map<string, Loaded>();

export default {
  async fetch(request, env) {
    const name = new URL(request.url).pathname.slice(1);
    if (request.method === "PUT") {
      const subject = load(await request.json());
      subject.shown = Buffer.concat(await runs.engine(subject, env));
      loaded.set(name, subject);
      return new Response(null, { status: 204 });
    }
    const subject = loaded.get(name);
    if (subject === undefined) return new Response(`${name} is not loaded`, { status: 409 });
    const { how, times, show }: RedactTask = await request.json();
    const run = runs[how];
    let out: readonly Uint8Array[] = [];
    let bytes = 0;
    for (let n = 0; n < times; n++) {
      out = await run(subject, env);
      for (const part of out) bytes += part.length;
    }
    return show ? new Response(out.map((part) => decoder.decode(part)).join("")) : Response.json(bytes);
  },
} satisfies ExportedHandler<RedactEnv>;

function load({ policy, request, originBase, body: text, consents }: RedactSubject): Loaded {
  const [path = "", query = ""] = request.split("?", 2);
  const interaction = value(readInteraction("GET", path.split("/"), query));
  if (!isReading(interaction)) throw new Error(`${request} is no read and no search`);
  const asked = { scopes: value(parseScopes("system/*.rs")), patient: undefined };
  const access =
    consents === undefined ? asked : { ...asked, purpose: "HPAYMT", consents: bookOf(consents, originBase) };
  const compiled = compilePolicy(value(parsePolicyDocument(policy)), "sha256:bench");
  const body = new TextEncoder().encode(text);
  const windows: Uint8Array[] = [];
  // each window has an array of its own, like the pieces of a stream
  for (let at = 0; at < body.length; at += windowBytes) windows.push(body.slice(at, at + windowBytes));
  return {
    grant: value(evaluate(compiled, access, interaction)),
    originBase,
    body,
    origins: originOf([body], originBase),
    inWindows: originOf(windows, originBase),
    shown: body,
    codes: new Map(),
  };
}

/** The Consents of the rows' patient, as they are on file. */
function bookOf(
  { patient, resources }: NonNullable<RedactSubject["consents"]>,
  originBase: string,
): ConsentBook {
  const nobody = { references: new Set<string>(), identifiers: new Set<string>() };
  const request = { recipient: nobody, holder: nobody, purpose: "HPAYMT", at: instant(0) } as const;
  const book = new ConsentBook({ request, individual: undefined, publicBase: base });
  const filed = resources.map((resource, n) => ({
    consent: `bench-${n}`,
    digest: `bench-${n}`,
    rules: readConsent(resource as JsonObject, originBase), // it came as JSON
    filedAt: instant(0),
    mayPermit: true,
  }));
  book.learn([patient], new Map([[patient, filed]]));
  return book;
}

const windowBytes = 65_536;

function originOf(pieces: readonly Uint8Array[], base: string): Origins {
  const body: OriginBody = {
    async *[Symbol.asyncIterator]() {
      for (const piece of pieces) yield ok(piece);
    },
  };
  return {
    traits: async () => undefined,
    ask: async () => ({ kind: "answered", body, base }),
    open: async () => undefined,
    send: async () => undefined,
  };
}

/** With a session for each answer, as the gateway has it: nothing is remembered that a request would not find. */
async function cut({ grant, originBase, body }: Loaded, origins: Origins): Promise<readonly Uint8Array[]> {
  const at = instant(0);
  const session = new OriginSession(origins, {
    name: "main",
    base,
    at,
    clientCert: undefined,
    client: "test",
    consents: { file: async () => ok(undefined), fileAgain: async () => ok("on file" as const) },
    leases: { take: async () => undefined },
    cases: {
      opening: { open: async () => undefined, settle: async () => {} },
      request: { requestId: "", at: instant(0), client: "test", origin: "main" },
    },
  });
  const { expects } = grant;
  if (expects.kind === "vread") throw new Error("a vread has two answers");
  if (expects.kind === "read")
    return bytesOf(
      value(new Discloser(grant, session.basesAt(originBase)).read(body, expects.type, expects.id)),
    );
  const { page, next } = value(await fillPage({ ...grant, expects }, undefined, session));
  if (next !== undefined) throw new Error("the body does not fit on a page");
  return bytesOf(value(page.finish(undefined, true)));
}

const bytesOf = ({ windows }: Disclosure) => windows.map(({ body }) => body);

const [decoder, encoder] = [new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }), new TextEncoder()];

async function parseAndStringify({ body }: Loaded): Promise<readonly Uint8Array[]> {
  const parsed: unknown = JSON.parse(decoder.decode(body));
  return [encoder.encode(JSON.stringify(parsed))];
}

const answerOf = (form: DeidForm, { shown }: Loaded): ShownAnswer => ({
  body: shown,
  form,
  year: 2026,
  base,
  sort: [],
  isChosen: false,
});

async function inForm(
  form: DeidForm,
  one: Loaded,
  codes: Pick<Codes, "codesOf">,
): Promise<readonly Uint8Array[]> {
  return [value(await cutInForm(answerOf(form, one), codes))];
}

/** The codes are at hand: no look-up is counted. */
const codesAtHand = ({ codes }: Loaded): Pick<Codes, "codesOf"> => ({
  codesOf: async (names) => {
    if (codes.size === 0) for (const name of names) codes.set(name, crypto.randomUUID().replaceAll("-", ""));
    return ok(codes);
  },
});

const dataSet = { client: "bench", agreement: "bench", origin: "main", name: "bench" };
let remembered: Codes | undefined;

const askedCodes = ({ JOBS }: RedactEnv): Pick<Codes, "codesOf"> => ({
  codesOf: async (names) => {
    const codes = value(await JOBS.codesOf(dataSet, names));
    return ok(new Map(names.map((name, at) => [name, codes[at] ?? ""])));
  },
});

type Run = (one: Loaded, env: RedactEnv) => Promise<readonly Uint8Array[]>;
const runs: Readonly<Record<RedactHow, Run>> = {
  "safe-harbor": (one) => inForm("safe-harbor", one, codesAtHand(one)),
  "limited-data-set": (one) => inForm("limited-data-set", one, codesAtHand(one)),
  coded: (one, { JOBS }) =>
    inForm(
      "safe-harbor",
      one,
      (remembered ??= isolateCodes(
        () => JOBS,
        () => instant(Date.now()),
      )(dataSet)),
    ),
  asked: (one, env) => inForm("safe-harbor", one, askedCodes(env)),
  jobs: async (one, { JOBS }) => [value(await JOBS.inForm(dataSet, answerOf("safe-harbor", one)))],
  engine: (one) => cut(one, one.origins),
  windows: (one) => cut(one, one.inWindows),
  json: parseAndStringify,
};

function value<T>(result: Result<T, unknown>): T {
  if (!result.ok) throw new Error(`refused: ${JSON.stringify(result.error)}`);
  return result.value;
}
