import { test } from "vitest";
import { normalHttpUri } from "#identity/http-uri";

const requested = "https://gateway.example.org/v1/fhir/main/Patient/a~1";

test.for([
  "https://gateway.example.org/v1/fhir/main/Patient/a~1",
  "HTTPS://GATEWAY.example.ORG/v1/fhir/main/Patient/a~1",
  "https://gateway.example.org:443/v1/fhir/main/Patient/a~1",
  "https://gateway.example.org/v1/fhir/main/Patient/%61%7e1",
  "https://gateway.example.org/v1/fhir/main/x/../Patient/a~1",
  "https://gateway.example.org/v1/fhir/main/Patient/a~1?_summary=true#part",
])("RFC 3986 calls %s the same address", (other, { expect }) => {
  expect(normalHttpUri(other)).toBe(normalHttpUri(requested));
});

test.for([
  "https://gateway.example.net/v1/fhir/main/Patient/a~1",
  "https://gateway.example.org:8443/v1/fhir/main/Patient/a~1",
  "https://gateway.example.org/v1/fhir/main/patient/a~1",
  "https://gateway.example.org/v1/fhir/main/Patient/a~1/",
  "https://gateway.example.org/v1/fhir/main/Patient%2Fa~1", // an encoded slash separates nothing
])("%s is a different address", (other, { expect }) => {
  expect(normalHttpUri(other)).toBeDefined();
  expect(normalHttpUri(other)).not.toBe(normalHttpUri(requested));
});

test.for([
  "http://gateway.example.org/v1/fhir/main/Patient/a~1",
  "/v1/fhir/main/Patient/a~1",
  "https:\\\\gateway.example.org\\v1\\fhir\\main\\Patient\\a~1",
  " https://gateway.example.org/v1/fhir/main/Patient/a~1",
  "https://gateway.example.org/v1/fhir/main/Pat\tient/a~1",
  "https://someone@gateway.example.org/v1/fhir/main/Patient/a~1",
  "https://gateway.example.org/v1/fhir/main/Patient/a%7",
  "https://gateway.example.org/v1/fhir/main/Patient/ä",
  "https://",
  "",
])("a text that only lenient parsers accept as an https address is refused: %s", (text, { expect }) => {
  expect(normalHttpUri(text)).toBeUndefined();
});
