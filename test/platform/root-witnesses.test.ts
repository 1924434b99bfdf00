import { generateKeyPairSync, sign } from "node:crypto";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, test, vi } from "vitest";
import { utf8 } from "#kernel/encoded";
import { cosignatureLine, cosignedText } from "#ledger/tlog/cosignature";
import { keyId, signatureTypes, verifierKey } from "#ledger/tlog/signed-note";
import { readWitnesses } from "#platform/ledger/object/root/config";
import { askWitness } from "#platform/ledger/object/root/witnesses";

const name = "witness.test/w1";
const { privateKey, publicKey } = generateKeyPairSync("ed25519");
const raw = new Uint8Array(publicKey.export({ format: "der", type: "spki" }).subarray(-32));
const verifier = { name, id: keyId(name, raw, signatureTypes.cosignature), publicKey: raw };
const text = `log.test/root\n3\n${Buffer.alloc(32).toString("base64")}\n`;
const line = (of = text, seconds = 7) =>
  cosignatureLine(verifier, seconds, new Uint8Array(sign(null, utf8(cosignedText(of, seconds)), privateKey)));
const log = Buffer.concat([Buffer.alloc(4), Buffer.alloc(64)]).toString("base64");
const request = {
  oldSize: 2,
  proof: [new Uint8Array(32)],
  checkpoint: utf8(`${text}\n— log.test/root ${log}\n`),
};

const servers: Server[] = [];
afterAll(() => {
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
});
/** Asks a witness that gives this answer. */
async function ask(answer: RequestListener) {
  const server = createServer(answer);
  servers.push(server);
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`; // a TCP server has an AddressInfo
  return await askWitness({ url, verifier }, request);
}

test("a witness's cosignature is accepted without any further line of its answer, and the size that it claims to have cosigned is returned", async ({
  expect,
}) => {
  let seen = "";
  const cosigned = await ask((incoming, response) => {
    incoming.on("data", (part: Buffer) => (seen += part.toString()));
    incoming.on("end", () => response.end(`— somebody.test/else ${log}\n${line()}`));
  });
  expect(cosigned).toEqual({ kind: "cosigned", line: line() });
  expect(seen).toBe(
    `old 2\n${Buffer.alloc(32).toString("base64")}\n\n${new TextDecoder().decode(request.checkpoint)}`,
  );
  for (const type of ["text/x.tlog.size", "text/x.tlog.size; charset=utf-8"]) {
    const conflict: RequestListener = (_, response) =>
      response.writeHead(409, { "content-type": type }).end("5\n");
    expect(await ask(conflict)).toEqual({ kind: "elsewhere", size: 5 });
  }
});

test.for<[string, RequestListener]>([
  ["another key's line", (_, response) => response.end(`— somebody.test/else ${log}\n`)],
  ["a cosignature of another checkpoint", (_, response) => response.end(line(text.replace("3", "4")))],
  ["nothing", (_, response) => response.end("")],
  ["a line that is none", (_, response) => response.end("thank you\n")],
  ["more than any cosignature is long", (_, response) => response.end(line() + line().repeat(200))],
  ["another root at this size, by the text of 2025", (_, response) => response.writeHead(409).end("5\n")],
  ["another root at this size, by the text of 2026", (_, response) => response.writeHead(422).end("5\n")],
  ["a cosignature without a time", (_, response) => response.end(line(text, 0))],
  ["a refusal", (_, response) => response.writeHead(422).end(line())],
  [
    "a redirect to one who would cosign",
    (incoming, response) =>
      incoming.url === "/add-checkpoint"
        ? response.writeHead(307, { location: "/elsewhere" }).end()
        : response.end(line()),
  ],
])("a witness that answers %s has not cosigned", async ([, answer], { expect }) => {
  await expect(ask(answer)).rejects.toThrow(/^witness: /);
});

test("a witness that answers nothing is given five seconds", async ({ expect }) => {
  const over = new AbortController();
  const given = vi.spyOn(AbortSignal, "timeout").mockReturnValue(over.signal);
  try {
    await expect(ask(() => over.abort())).rejects.toThrow("aborted");
    expect(given.mock.calls).toEqual([[5_000]]);
  } finally {
    given.mockRestore();
  }
});

test("witnesses are configured with an https address and a witness's key, each name once; any further configuration is refused", ({
  expect,
}) => {
  const key = verifierKey(name, raw, signatureTypes.cosignature);
  const good = { url: "https://witness.test/", key };
  expect(readWitnesses(JSON.stringify([good]))).toEqual([{ url: "https://witness.test", verifier }]);
  expect(readWitnesses([])).toEqual([]);
  expect(readWitnesses([{ ...good, url: "http://127.0.0.1:8080" }]).length).toBe(1);
  const bad: unknown[] = [
    "",
    "{}",
    undefined,
    [{ ...good, url: "http://witness.test" }],
    [{ ...good, url: "https://user@witness.test" }],
    [{ ...good, url: "https://witness.test/?x" }],
    [{ ...good, url: "witness.test" }],
    [{ ...good, key: verifierKey(name, raw) }],
    [{ ...good, more: 1 }],
    [good, { ...good, url: "https://other.test" }],
  ];
  for (const value of bad)
    expect(() => readWitnesses(value), JSON.stringify(value)).toThrow("configuration: WITNESSES");
});
