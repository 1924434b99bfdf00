import * as fc from "fast-check";
import { test } from "vitest";
import { isListing, isReading, readInteraction, type Interaction } from "#fhir/interaction";
import type { OriginQuestion } from "#fhir/ports";
import { forward } from "#gateway/forward";
import { list } from "#gateway/list";
import { faceOf, type GatewayRefusal } from "#gateway/refusal";
import { gather } from "#gateway/gather";
import { parseScopes } from "#identity/scopes";
import { instant } from "#kernel/clock";
import { ok, type Result } from "#kernel/result";
import type { Disclosure } from "#phi/disclosure";
import { compilePolicy } from "#policy/compile";
import { evaluate } from "#policy/evaluate";
import { evaluateListing } from "#policy/evaluate-listing";
import type { PolicyDocument } from "#policy/schema";
import { carelessOrigin, realOrigin, type SmallOrigin } from "./small-origin.ts";
import { canariesIn, patients, policyOf, requestOf, scopesOf, Tape, worldOf, type Kept } from "./small-world.ts";
import { twinOf } from "./twin-world.ts";
import { Knowable, type Asker } from "./what-may-be-known.ts";

// Random policies, scopes and questions over a small world whose every element holds a value that is nowhere else.

const fhirBase = "https://api.example/v1/fhir/main";
const origins = { "an origin that answers for real": realOrigin, "an origin that ignores every parameter": carelessOrigin };

interface Answered {
  readonly status: number;
  readonly text: string;
  /** What the origin was asked, in order. */
  readonly asked: readonly string[];
  /** How many records it takes. */
  readonly appends: number;
}

async function ask(document: PolicyDocument, asker: Asker, request: string, origin: SmallOrigin): Promise<Answered> {
  const refused = (refusal: GatewayRefusal): Answered => ({ ...faceOf(refusal), asked: origin.asked, appends: 1 });
  const [path = "", query = ""] = request.split("?", 2);
  const interaction = readInteraction("GET", path.split("/"), query, fhirBase);
  if (!interaction.ok) return refused(interaction.error);
  const disclosed = await disclose(interaction.value, { document, asker, origin });
  if (!disclosed.ok) return refused(disclosed.error);
  const { windows } = disclosed.value;
  const text = windows.map((window) => new TextDecoder().decode(window.body)).join("");
  return { status: 200, text, asked: origin.asked, appends: windows.length };
}

const ports = {
  pages: { seal: async () => "", open: async () => ({ ok: false, error: { reason: "page_link_malformed" } }) as const },
  fhirBase: () => fhirBase,
};

/** As the pipeline does it, past the proof of who asks. */
async function disclose(
  interaction: Interaction,
  { document, asker, origin }: { readonly document: PolicyDocument; readonly asker: Asker; readonly origin: SmallOrigin },
): Promise<Result<Disclosure, GatewayRefusal>> {
  const scopes = asker.scopes.length === 0 ? ok([]) : parseScopes(asker.scopes.join(" "));
  if (!scopes.ok) throw new Error("a test's own mistake");
  const access = { scopes: scopes.value, patient: asker.patient, usersPatients: new Set(asker.usersPatients) };
  const policy = compilePolicy(document, "sha256:test");
  const origins = { origins: origin, ...ports };
  const asked = { origin: "main", at: instant(0), who: {} as never, place: undefined }; // of who it is only links to further pages tell
  if (isReading(interaction)) {
    const grant = evaluate(policy, access, interaction);
    return grant.ok ? gather({ ...asked, grant: grant.value, clientCert: undefined }, origins) : grant;
  }
  if (!isListing(interaction)) throw new Error("a test's own mistake");
  const grant = evaluateListing(policy, access, interaction);
  const ask = (question: OriginQuestion) => forward(origin, "main", question, undefined);
  return grant.ok ? list({ ...asked, grant: grant.value, ask }, origins) : grant;
}

/** One question of one asker to one world. */
interface Scene {
  readonly world: readonly Kept[];
  readonly document: PolicyDocument;
  readonly asker: Asker;
  readonly request: string;
  readonly tape: Tape;
  /** For a report that can be read: of the world the ids say enough. */
  readonly [fc.toStringMethod]: () => string;
}

const scenes = fc.array(fc.nat({ max: 10_000 }), { minLength: 400, maxLength: 400, size: "max" }).map((choices): Scene => {
  const tape = new Tape(choices);
  const world = worldOf(tape);
  const asker = { scopes: scopesOf(tape), patient: tape.of(...patients), usersPatients: tape.some(patients) };
  const [document, request] = [policyOf(tape), requestOf(tape, world)];
  return { document, asker, request, world, tape, [fc.toStringMethod]: () => JSON.stringify({ document, asker, request }) };
});
const runs = { numRuns: 1_000 };

/** A search, and an operation, shows rows by the rules to search, and brings others along by those to read. */
const interactionsOf = (request: string) => (/^[A-Z]\w+\?|\$/u.test(request) ? (["read", "search"] as const) : (["read"] as const));

test.for(Object.entries(origins))(
  "of %s no value leaves that policy, scopes and patient do not let be known",
  async ([, open], { expect }) => {
    let answers = 0;
    await fc.assert(
      fc.asyncProperty(scenes, async ({ world, document, asker, request }) => {
        const known = new Knowable(document, asker, world).canaries(interactionsOf(request));
        const answer = await ask(document, asker, request, open(world));
        if (answer.status === 200 && canariesIn(answer.text).length > 1) answers += 1;
        const echoed = new Set(canariesIn(decodeURIComponent(request))); // in the answer's link to itself
        expect(canariesIn(answer.text).filter((canary) => !known.has(canary) && !echoed.has(canary))).toEqual([]);
      }),
      runs,
    );
    expect(answers).toBeGreaterThan(runs.numRuns / 10); // it was asked what can be answered
  },
);

test.for(Object.entries(origins))(
  "of %s two worlds that differ in what may not be known give the same bytes, after the same questions",
  async ([, open], { expect }) => {
    await fc.assert(
      fc.asyncProperty(scenes, async ({ world, document, asker, request, tape }) => {
        const twin = twinOf(world, new Knowable(document, asker, world), tape);
        expect(await ask(document, asker, request, open(twin))).toEqual(await ask(document, asker, request, open(world)));
      }),
      runs,
    );
  },
);

test.for(Object.entries(origins))(
  "of %s taking a scope or a rule away turns no refusal into a grant, and shows nothing more",
  async ([, open], { expect }) => {
    await fc.assert(
      fc.asyncProperty(scenes, async ({ world, document, asker, request, tape }) => {
        const without = <T>(list: readonly T[], at: number) => list.filter((_, index) => index !== at);
        const whole = await ask(document, asker, request, open(world));
        const fewer =
          tape.below(2) === 0
            ? await ask(document, { ...asker, scopes: without(asker.scopes, tape.below(asker.scopes.length)) }, request, open(world))
            : await ask(
                { ...document, rules: without(document.rules, tape.below(Math.max(document.rules.length, 1))) },
                asker,
                request,
                open(world),
              );
        if (whole.status !== 200) expect(fewer.status).not.toBe(200);
        // Whose a resource inside another is, only one that holds it can tell: with a scope for everybody's rows beside, fewer may go with theirs.
        const inside = world.flatMap(({ now, before }) => canariesIn(JSON.stringify([now["contained"], before?.["contained"]])));
        const shown = new Set([...canariesIn(whole.text), ...inside]);
        expect(canariesIn(fewer.text).filter((canary) => !shown.has(canary))).toEqual([]);
      }),
      runs,
    );
  },
);
