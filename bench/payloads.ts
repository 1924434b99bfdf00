import { writeFileSync } from "node:fs";
import { join } from "node:path";

/** The two requests of the benchmark, named by the size of the origin's answers. */
export interface Payload {
  readonly name: "read" | "search";
  /** Below the FHIR base. */
  readonly path: string;
  readonly originBytes: number;
}

interface Bundle {
  readonly entry: readonly { readonly fullUrl: string; readonly resource: { readonly id: string } }[];
}

// The size of a page of a real server (64 results of a Synthea patient): the larger case of the measurements
// behind the design.
const searchsetBytes = 60_000;

/**
 * Takes a patient and a page of observations from a FHIR server with the synthetic data, and writes them into
 * a folder for the benchmark's own origin. It takes the patient with the most observations.
 */
export async function takePayloads(server: string, folder: string): Promise<readonly Payload[]> {
  const read = async (path: string) => (await fetch(`${server}/${path}`)).text();
  const bundle = async (path: string): Promise<Bundle> => JSON.parse(await read(path));
  const patients = (await bundle("Patient?_count=1000")).entry.map(({ resource }) => resource.id);
  const found = await Promise.all(
    patients.map(async (id) => ({ id, all: await bundle(`Observation?patient=${id}&_count=1000`) })),
  );
  const { id, all } = found.reduce((most, one) =>
    one.all.entry.length > most.all.entry.length ? one : most,
  );

  const page = (length: number) =>
    JSON.stringify({
      resourceType: "Bundle",
      type: "searchset",
      total: length,
      link: [{ relation: "self", url: `${server}/Observation?patient=${id}` }],
      entry: all.entry.slice(0, length),
    });
  let length = 1;
  while (length < all.entry.length && page(length + 1).length <= searchsetBytes) length += 1;

  const write = (name: string, text: string) => {
    writeFileSync(join(folder, `${name}.json`), text.replaceAll(server, "{base}"));
    return Buffer.byteLength(text);
  };
  return [
    { name: "read", path: `Patient/${id}`, originBytes: write("patient", await read(`Patient/${id}`)) },
    { name: "search", path: `Observation?patient=${id}`, originBytes: write("searchset", page(length)) },
  ];
}
