// The order of modules in the bundle is the order of their first import. gzip finds only what repeats within
// 32 KiB, so the tables, which share the names of FHIR, stand together, and the libraries after them: 3.5 KiB less.
import "#fhir/r4/elements.gen";
import "#fhir/r4/search.gen";
import "#fhir/r4/structure.gen";
import "#fhir/r4/ties.gen";
import "#fhir/r4/summary.gen";
import "#fhir/r4/compartment.gen";
import "#fhir/r4/purpose-of-use.gen";
import "#entrypoint/client-refusals";
import "#policy/sensitivity/sensitivity.gen";
import "zod/mini";
import "structured-headers";
