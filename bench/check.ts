import { isDeepStrictEqual } from "node:util";
import { connect } from "./connection.ts";
import type { Peer } from "./peers/peer.ts";
import type { Payload } from "./payloads.ts";

/** The bytes of the whole request to a peer. */
export async function requestFor(peer: Peer, payload: Payload): Promise<string> {
  return [
    `GET /v1/fhir/main/${payload.path} HTTP/1.1`,
    `Host: localhost:${peer.target.port}`,
    "Accept: application/fhir+json",
    ...(await peer.headers()),
    "\r\n",
  ].join("\r\n");
}

/**
 * Sends one request to each peer and compares. Bare peers must answer with the origin's answer; full peers
 * must all answer with an equal cut, so that no peer is faster by doing less. Returns the length of each
 * body. Throws, naming the peer, when an answer differs.
 */
export async function checkAnswers(
  peers: readonly Peer[],
  payload: Payload,
  origin: string,
): Promise<ReadonlyMap<Peer, number>> {
  const whole: unknown = await (await fetch(`${origin}/${payload.path}`)).json();
  const lengths = new Map<Peer, number>();
  let cut: unknown;
  for (const peer of peers) {
    const { status, body } = await askOnce(peer, payload);
    if (status !== 200)
      throw new Error(`${peer.name} answers ${status} to ${payload.path}: ${body.toString()}`);
    const answer: unknown = JSON.parse(body.toString());
    if (peer.isFull) cut ??= answer;
    if (!isDeepStrictEqual(answer, peer.isFull ? cut : whole))
      throw new Error(`${peer.name} gives a wrong answer to ${payload.path}`);
    if (peer.isFull && !isCut(body.toString())) throw new Error(`${peer.name} does not cut ${payload.path}`);
    lengths.set(peer, body.length);
  }
  return lengths;
}

async function askOnce(
  peer: Peer,
  payload: Payload,
): Promise<{ readonly status: number; readonly body: Buffer }> {
  const connection = await connect(peer.target);
  const request = Buffer.from(await requestFor(peer, payload));
  const answer = await new Promise<{ status: number; body: Buffer } | undefined>((done) =>
    connection.ask(request, done),
  );
  connection.close();
  if (answer === undefined) throw new Error(`${peer.name} breaks the connection`);
  return answer;
}

/**
 * True for a resource that is marked as cut and lacks three things that the payer's view hides: narratives,
 * contacts, performers.
 */
const isCut = (text: string) =>
  text.includes('"SUBSETTED"') && !/"(?:text|telecom|performer|generalPractitioner)":/u.test(text);
