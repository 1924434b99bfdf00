import { isDeepStrictEqual } from "node:util";
import { connect } from "./connection.ts";
import type { Peer } from "./peers/peer.ts";
import type { Payload } from "./payloads.ts";

/** The whole request that a peer is asked with, as it goes over the wire. */
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
 * Asks each peer once and compares: bare ones must give the origin's answer, full ones all the same cut of it, so that none is
 * faster by doing less. Answers each one's body length; throws, naming the peer, when an answer is another.
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
      throw new Error(`${peer.name} answers something else to ${payload.path}`);
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

/** Marked as cut, and without what the payer's view hides of these two: narratives, contacts, performers. */
const isCut = (text: string) =>
  text.includes('"SUBSETTED"') && !/"(?:text|telecom|performer|generalPractitioner)":/u.test(text);
