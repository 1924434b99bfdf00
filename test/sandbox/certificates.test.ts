import { execFile, execFileSync, spawnSync } from "node:child_process";
import { createHash, randomUUID, X509Certificate } from "node:crypto";
import { readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, createServer, type TLSSocket } from "node:tls";
import type { AddressInfo } from "node:net";
import { promisify } from "node:util";
import { afterAll, test } from "vitest";
import {
  ensureAuthority,
  ensureServerCertificate,
  issueClientCertificate,
  x5tS256,
  type CertificateFiles,
} from "../../sandbox/certificates.ts";

const dir = join(tmpdir(), `phylax-certificates-${randomUUID()}`);
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const { serverCa, clientCa } = await ensureAuthority(dir);
const server = await ensureServerCertificate(dir);
const client = await issueClientCertificate(dir, "telehealth", "O=St. Mary\\, Inc., CN=telehealth");
const hasCurl = spawnSync("curl", ["--version"]).status === 0;
const openssl = "openssl"; // the machine's own tool, not from a package
const hasOpenssl = spawnSync(openssl, ["version"]).status === 0;

function tlsServer(): Promise<{ port: number; peer: Promise<TLSSocket>; close: () => void }> {
  const peer = Promise.withResolvers<TLSSocket>();
  const listener = createServer(
    {
      cert: readFileSync(server.cert),
      key: readFileSync(server.key),
      ca: readFileSync(clientCa.cert),
      requestCert: true,
      rejectUnauthorized: true,
      minVersion: "TLSv1.3",
    },
    (socket) => {
      peer.resolve(socket);
      socket.end("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
    },
  );
  return new Promise((ready) => {
    listener.listen(0, "127.0.0.1", () =>
      ready({
        port: (listener.address() as AddressInfo).port,
        peer: peer.promise,
        close: () => listener.close(),
      }),
    );
  });
}

test("both sides accept the chain in a TLS 1.3 handshake that checks names and both certificates", async ({
  expect,
}) => {
  for (const servername of ["localhost", "127.0.0.1"]) {
    const { port, peer, close } = await tlsServer();
    const socket = connect({
      host: "127.0.0.1",
      port,
      ca: readFileSync(serverCa.cert),
      cert: readFileSync(client.cert),
      key: readFileSync(client.key),
      ...(servername === "localhost" && { servername }),
    });
    await new Promise((secured, failed) => socket.once("secureConnect", secured).once("error", failed));
    expect(socket.authorized).toBe(true);
    expect(socket.getProtocol()).toBe("TLSv1.3");
    expect((await peer).authorized).toBe(true);
    expect((await peer).getPeerX509Certificate()?.subject).toBe("O=St. Mary\\, Inc.\nCN=telehealth");
    socket.destroy();
    close();
  }
});

test.skipIf(!hasCurl)("curl accepts the chain (skipped without curl)", async ({ expect }) => {
  const { port, close } = await tlsServer();
  const args = [
    "-sS",
    "--max-time",
    "5",
    "--tlsv1.3",
    "--cacert",
    serverCa.cert,
    "--cert",
    client.cert,
    "--key",
    client.key,
    `https://localhost:${port}/`,
  ];
  const { stdout } = await promisify(execFile)("curl", args);
  expect(stdout).toBe("ok");
  close();
});

test.skipIf(!hasOpenssl)(
  "OpenSSL accepts each certificate for its own purpose alone (skipped without openssl)",
  ({ expect }) => {
    const verify = (ca: string, purpose: string, cert: string) =>
      spawnSync(openssl, ["verify", "-x509_strict", "-CAfile", ca, "-purpose", purpose, cert]).status;
    expect(verify(serverCa.cert, "sslserver", server.cert)).toBe(0);
    expect(verify(clientCa.cert, "sslclient", client.cert)).toBe(0);
    expect(verify(serverCa.cert, "sslclient", server.cert)).not.toBe(0);
    expect(verify(clientCa.cert, "sslserver", client.cert)).not.toBe(0);
    expect(verify(serverCa.cert, "sslclient", client.cert)).not.toBe(0);
    const text = execFileSync(
      openssl,
      ["x509", "-in", client.cert, "-noout", "-subject", "-nameopt", "RFC2253"],
      { encoding: "utf8" },
    );
    expect(text.trim()).toBe("subject=CN=telehealth,O=St. Mary\\, Inc.");
  },
);

test("a second start finds the same certificates", async ({ expect }) => {
  const before = [serverCa, clientCa, server, client].map(({ cert }) => readFileSync(cert, "utf8"));
  await ensureAuthority(dir);
  await ensureServerCertificate(dir);
  await issueClientCertificate(dir, "telehealth", "O=St. Mary\\, Inc., CN=telehealth");
  expect([serverCa, clientCa, server, client].map(({ cert }) => readFileSync(cert, "utf8"))).toEqual(before);
});

test("keys are readable by their owner only", ({ expect }) => {
  for (const { key } of [serverCa, clientCa, server, client])
    expect(statSync(key).mode.toString(8).slice(-3)).toBe("600");
});

test("a certificate is made anew within a day of its end, for another subject, without its key, or torn by a crash", async ({
  expect,
}) => {
  const issue = (validity?: { notBefore: Date; notAfter: Date }, subject = "CN=renewed") =>
    issueClientCertificate(dir, "renewed", subject, validity);
  const fingerprint = ({ cert }: CertificateFiles) => new X509Certificate(readFileSync(cert)).fingerprint256;
  const hours = (count: number) => new Date(Date.now() + count * 3_600_000);

  const ending = fingerprint(await issue({ notBefore: hours(-24), notAfter: hours(23) }));
  const renewed = await issue();
  expect(fingerprint(renewed)).not.toBe(ending);

  const fresh = fingerprint(renewed);
  expect(fingerprint(await issue())).toBe(fresh);
  expect(fingerprint(await issue(undefined, "CN=someone-else"))).not.toBe(fresh);

  for (const damage of [
    (files: CertificateFiles) => writeFileSync(files.key, readFileSync(client.key)),
    (files: CertificateFiles) => rmSync(files.key),
    (files: CertificateFiles) => writeFileSync(files.cert, readFileSync(files.cert).subarray(0, 300)),
  ]) {
    const files = await issue();
    const damaged = fingerprint(files);
    damage(files);
    const mended = new X509Certificate(readFileSync((await issue()).cert));
    expect(mended.fingerprint256).not.toBe(damaged);
    expect(mended.verify(new X509Certificate(readFileSync(clientCa.cert)).publicKey)).toBe(true);
  }
});

test("a name that could leave the folder is refused", async ({ expect }) => {
  for (const name of ["../ca", "a/b", "", "A", ".hidden"])
    expect(() => issueClientCertificate(dir, name, "CN=x"), name).toThrow("a-z");
});

test("x5t#S256 is the SHA-256 of the DER in base64url", ({ expect }) => {
  const pem = readFileSync(client.cert, "utf8");
  const der = Buffer.from(pem.replaceAll(/-----[^-]+-----|\s/gu, ""), "base64");
  expect(x5tS256(pem)).toBe(createHash("sha256").update(der).digest("base64url"));
});
