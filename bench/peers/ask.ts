import { readFileSync } from "node:fs";
import { request } from "node:https";

/** Paths of PEM files: the certificate authority to trust, and the client's own certificate and key. */
export interface ClientFiles {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** Sends one HTTPS request with a client certificate: GET, or POST of a form. Returns the body. */
export function ask(url: string, files: ClientFiles, form?: string): Promise<string> {
  const [ca, cert, key] = [readFileSync(files.ca), readFileSync(files.cert), readFileSync(files.key)];
  const headers =
    form === undefined
      ? {}
      : { "content-type": "application/x-www-form-urlencoded", "content-length": Buffer.byteLength(form) };
  return new Promise((done, failed) => {
    const sending = request(
      url,
      { method: form === undefined ? "GET" : "POST", headers, agent: false, ca, cert, key },
      (reply) => {
        let text = "";
        reply.setEncoding("utf8");
        reply.on("data", (chunk: string) => (text += chunk));
        reply.on("end", () => done(text));
        reply.on("error", failed);
      },
    );
    sending.on("error", failed);
    sending.end(form);
  });
}
