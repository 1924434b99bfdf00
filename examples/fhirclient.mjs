// A SMART app on fhirclient, the library of the SMART project: it knows the FHIR base and its own id, and asks the base where people sign in.
// docs/sign-in.md registers it first.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import smart from "fhirclient";

const { fhir: iss } = JSON.parse(readFileSync(process.argv[2] ?? ".phylax/dev.json", "utf8"));
const scope = "openid fhirUser launch/patient patient/*.rs";
const kept = new Map();
const storage = {
  get: async (key) => kept.get(key),
  set: async (key, value) => kept.set(key, value).get(key),
  unset: async (key) => kept.delete(key),
};
async function answer(request, response) {
  const oauth2 = smart(request, response, storage);
  if (request.url === "/")
    return oauth2.authorize({
      iss,
      clientId: "smart-app",
      redirectUri: "/callback",
      scope,
      pkceMode: "required",
    });
  if (!request.url.startsWith("/callback?")) return response.writeHead(404).end();
  const client = await oauth2.ready();
  response.end("You can close this window.");
  console.log(client.getFhirUser(), JSON.stringify(await client.patient.read()));
  process.exit();
}

const app = createServer((request, response) => {
  answer(request, response).catch((fault) => response.writeHead(500).end(String(fault)));
});
app.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${app.address().port}/`));
