const idBytes = 16;
const randomBytes = new Uint8Array(256 * idBytes);
let used = randomBytes.length; // a Worker has no randomness before its first request
const hex = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/** 16 random bytes in hex. The bytes of 256 ids are drawn at once: a call of the runtime costs more than an id. */
export function newId(): string {
  if (used === randomBytes.length) {
    crypto.getRandomValues(randomBytes);
    used = 0;
  }
  let id = "";
  for (const end = used + idBytes; used < end; used += 1) id += hex[randomBytes[used] ?? 0];
  return id;
}
