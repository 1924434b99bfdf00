import { isDeepStrictEqual } from "node:util";
import type { Payload } from "../data/payloads.ts";
import { connect } from "../load/connection.ts";
import { requestText } from "../load/order.ts";
import type { Peer } from "../peers/peer.ts";

const connectionsAtOnce = 8;

/** A path below `/v1/fhir/` and the length of a peer's answer to it. */
export interface Expected {
  readonly path: string;
  readonly bytes: number;
}

/**
 * Sends each path of a payload to each peer once and compares. Bare peers must answer with the origin's
 * answer; full peers must all answer with an equal cut, so that no peer is faster by doing less. Returns the
 * length of each answer. Throws, naming the peer, when an answer differs.
 */
export async function checkAnswers(
  peers: readonly Peer[],
  payload: Pick<Payload, "name" | "origin" | "paths" | "rows">,
  origin: string,
): Promise<ReadonlyMap<Peer, readonly Expected[]>> {
  const wholes = await Promise.all(
    payload.paths.map(async (path): Promise<unknown> => (await fetch(`${origin}/${path}`)).json()),
  );
  const lengths = new Map<Peer, readonly Expected[]>();
  let cuts: readonly unknown[] | undefined;
  for (const peer of peers) {
    const bodies = await askAll(peer, payload);
    const answers = bodies.map((body): unknown => JSON.parse(body));
    if (peer.isFull) cuts ??= answers;
    const right = peer.isFull ? cuts : wholes;
    for (const [i, path] of payload.paths.entries()) {
      if (!isDeepStrictEqual(answers[i], right?.[i]))
        throw new Error(`${peer.name} gives a wrong answer to ${path}`);
      if (peer.isFull && !isCut(bodies[i] ?? "")) throw new Error(`${peer.name} does not cut ${path}`);
      if (payload.rows !== undefined && rowsOf(answers[i]) !== payload.rows)
        throw new Error(`${peer.name} answers ${rowsOf(answers[i])} of ${payload.rows} rows to ${path}`);
    }
    lengths.set(
      peer,
      payload.paths.map((path, i) => ({
        path: `${payload.origin}/${path}`,
        bytes: Buffer.byteLength(bodies[i] ?? ""),
      })),
    );
  }
  return lengths;
}

/** The bodies of the answers, in the order of the paths; every answer has to be 200. */
async function askAll(
  peer: Peer,
  { origin, paths }: Pick<Payload, "origin" | "paths">,
): Promise<readonly string[]> {
  const headers = await peer.headers(origin === "main" ? "hot" : origin);
  const bodies: string[] = [];
  let next = 0;
  const worker = async () => {
    const connection = await connect(peer.target);
    try {
      for (let n = next++; n < paths.length; n = next++) {
        const path = `${origin}/${paths[n] ?? ""}`;
        const request = Buffer.from(requestText(path, peer.target.port, headers[n % headers.length] ?? []));
        const answer = await new Promise<{ readonly status: number; readonly body: Buffer } | undefined>(
          (done) => connection.ask(request, done),
        );
        if (answer === undefined) throw new Error(`${peer.name} breaks the connection`);
        if (answer.status !== 200)
          throw new Error(`${peer.name} answers ${answer.status} to ${path}: ${answer.body.toString()}`);
        bodies[n] = answer.body.toString();
      }
    } finally {
      connection.close();
    }
  };
  await Promise.all(Array.from({ length: Math.min(connectionsAtOnce, paths.length) }, worker));
  return bodies;
}

const rowsOf = (answer: unknown) => Reflect.get(Object(Reflect.get(Object(answer), "entry")), "length");

/**
 * True for an answer whose resources are marked as cut and lack three things that the payer's view hides:
 * narratives, contacts, performers.
 */
const isCut = (text: string) =>
  text.includes('"SUBSETTED"') && !/"(?:telecom|performer|generalPractitioner)":|"text":\{/u.test(text);
