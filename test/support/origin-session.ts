import type { OriginAnswer, OriginQuestion, Origins, OriginTraits } from "#fhir/ports";
import type { Answered, OriginRefusal } from "#gateway/origin/forward";
import type { HeldBytes } from "#gateway/origin/held-bytes";
import { OriginSession } from "#gateway/origin/origin-session";
import { instant, type Instant } from "#kernel/clock";
import { ok, type Result } from "#kernel/result";

const noConsents = { file: async () => ok(undefined), fileAgain: async () => ok("on file" as const) };
const noLeases = { take: async () => undefined };

type Ask = (question: OriginQuestion) => Promise<Result<Answered, OriginRefusal>>;

/**
 * The session of a request with an origin that gives these answers. It accepts no writes unless `send` is
 * given.
 */
export function sessionOf(
  ask: Ask,
  {
    at = instant(0),
    base = "https://api.example/v1/fhir/main",
    send = async () => undefined,
    held,
    traits = {
      transactions: "atomic",
      honoursIfMatchOnDelete: true,
      capabilities: {},
      acceptsSearchInUrl: false,
    },
  }: {
    readonly at?: Instant;
    readonly base?: string;
    readonly send?: Origins["send"];
    readonly held?: HeldBytes;
    readonly traits?: OriginTraits;
  } = {},
): OriginSession {
  const origins = {
    traits: async () => traits,
    ask: async (_origin: string, question: OriginQuestion) => answerOf(await ask(question)),
    open: async () => undefined,
    send,
  };
  const setting = {
    name: "main",
    base,
    at,
    clientCert: undefined,
    client: "test",
    consents: noConsents,
    leases: noLeases,
    cases: {
      opening: { open: async () => undefined, settle: async () => {} },
      request: { requestId: "", at: instant(0), client: "test", origin: "main" },
    },
  };
  return new OriginSession(origins, setting, undefined, held);
}

function answerOf(answer: Result<Answered, OriginRefusal>): OriginAnswer {
  if (answer.ok) return answer.value;
  if (answer.error.reason === "absent") return { kind: "absent" };
  if (answer.error.reason === "origin_unreachable") return { kind: "unreachable" };
  if (answer.error.reason === "origin_refused") return { kind: "refused", status: answer.error.status };
  throw new Error("a test's own mistake: this origin only answers, refuses, or has nothing");
}
