import { joinBytes } from "#fhir/json/bytes";

/** A request's body. Reading it throws when its sender breaks off. */
export type IncomingBody = SentBody | null | undefined;

interface SentBody extends AsyncIterable<Uint8Array> {
  /** Call it when the sender is authenticated. */
  trust?(): void;
}

/** Reads a body to its end. @returns `undefined` when the body is larger: the rest stays unread. */
export async function readAtMost(
  body: IncomingBody,
  bytesMax: number,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of body ?? []) {
    length += chunk.length;
    if (length > bytesMax) return undefined; // leaving the loop ends the reading
    chunks.push(chunk);
  }
  return joinBytes(chunks);
}
