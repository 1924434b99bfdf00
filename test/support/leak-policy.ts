const why = "45 CFR 164.524(a)(1): the individual's right of access.";
const permitted = (request: string) => [
  { says: "It is permitted for whom it is.", request, is: "permitted" },
];

/** Shows most of a record and hides some elements. The hidden elements contain canaries in `leakWorld`. */
export const leakPolicy = {
  format: "phylax.policy.v1",
  name: "leaks",
  title: "Most of the record, for the one whom it is about",
  purposes: ["PATRQT"],
  users: ["practitioner", "related-person"],
  operations: ["everything", "lastn", "validate"],
  rules: [
    {
      types: ["Patient"],
      interactions: ["read", "search", "update"],
      show: [
        "identifier[system=urn:mrn]",
        "name.family",
        "birthDate",
        "deceased[x]",
        "generalPractitioner",
        "link.type",
      ],
      why,
      examples: permitted("Patient?family=Adams"),
    },
    {
      types: ["Observation"],
      interactions: ["read", "search", "create", "update", "delete"],
      show: [
        "meta.versionId",
        "identifier",
        "category",
        "code",
        "subject",
        "encounter",
        "effective[x]",
        "performer",
        "value[x]",
        "dataAbsentReason",
        "component.code",
        "contained",
        "focus",
      ],
      deletes: "unseen",
      why,
      examples: permitted("Observation?code=1"),
    },
    {
      types: [
        "Encounter",
        "Condition",
        "Appointment",
        "Coverage",
        "DocumentReference",
        "Provenance",
        "QuestionnaireResponse",
      ],
      interactions: ["read", "search"],
      show: "everything",
      why,
      examples: permitted("Encounter?status=finished"),
    },
    {
      types: ["Practitioner"],
      interactions: ["read"],
      show: ["name.family"],
      referredBy: ["Encounter:practitioner", "Observation:performer", "Patient:general-practitioner"],
      why,
      examples: [
        { says: "Nobody searches practitioners.", request: "Practitioner?name=Vera", is: "refused" },
      ],
    },
  ],
};
