import { elementsOf } from "#fhir/r4/elements";
import { r4Elements } from "#fhir/r4/elements.gen";

const withBackbones = (path: string): string[] => [
  path,
  ...[...elementsOf(path).values()]
    .flatMap(({ forms }) => forms.map(({ type }) => type))
    .filter((type) => type.startsWith(`${path}.`))
    .flatMap(withBackbones),
];

/** Every type and backbone path of R4 with elements. */
export const r4Paths: readonly string[] = r4Elements
  .trim()
  .split("\n")
  .map((line) => line.slice(0, line.indexOf(" ")))
  .flatMap(withBackbones);
