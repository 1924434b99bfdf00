import type { Sensitivity } from "./vocabulary.ts";

/** A person of the cast: their data and the part of the sandbox that they show. No person here exists. */
export interface SyntheticPerson {
  readonly id: string;
  readonly given: readonly string[];
  readonly family: string;
  readonly gender: "female" | "male" | "other" | "unknown";
  readonly birthDate: string;
  readonly line: string;
  readonly city: string;
  readonly state: string;
  readonly zip: string;
  readonly ailments: readonly Ailment[];
  readonly deceased?: string | true;
  /** The subscriber's id of the family coverage that pays. */
  readonly subscriber?: string;
  /** The reasons why some of their records are sensitive. */
  readonly sensitive?: readonly Sensitivity[];
  readonly language?: string;
}

export type Ailment =
  | "diabetes"
  | "hypertension"
  | "asthma"
  | "depression"
  | "heart-failure"
  | "kidney-disease";

/** The patient of the README's first request. */
export const firstPatient = "amara-okafor";

export const people: readonly SyntheticPerson[] = [
  {
    id: firstPatient,
    given: ["Amara", "Ngozi"],
    family: "Okafor",
    gender: "female",
    birthDate: "1984-03-12",
    line: "18 Tremont Street",
    city: "Boston",
    state: "MA",
    zip: "02115",
    ailments: ["diabetes", "hypertension"],
    subscriber: firstPatient,
    sensitive: ["PSYTHPN"],
  },
  {
    // Its id begins with its mother's id: a comparison by prefix would disclose the mother's records.
    id: "amara-okafor-newborn",
    given: ["Chidi"],
    family: "Okafor",
    gender: "male",
    birthDate: "2026-09-21",
    line: "18 Tremont Street",
    city: "Boston",
    state: "MA",
    zip: "02115",
    ailments: [],
    subscriber: firstPatient,
  },
  {
    id: "tobias-okafor",
    given: ["Tobias"],
    family: "Okafor",
    gender: "male",
    birthDate: "1981-07-30",
    line: "18 Tremont Street",
    city: "Boston",
    state: "MA",
    zip: "02115",
    ailments: ["asthma"],
    subscriber: firstPatient,
    sensitive: ["ETH"],
  },
  {
    id: "margarete-lindqvist",
    given: ["Margarete"],
    family: "Lindqvist",
    gender: "female",
    birthDate: "1930-02-03",
    line: "4 River Road",
    city: "Charlestown",
    state: "NH",
    zip: "03603",
    ailments: ["heart-failure", "hypertension"],
  },
  {
    id: "jose-nunez",
    given: ["José", "María"],
    family: "Núñez",
    gender: "male",
    birthDate: "1990-11-05",
    line: "77 Lake Street",
    city: "Averill",
    state: "VT",
    zip: "05901",
    ailments: ["hypertension"],
    sensitive: ["HIV"],
    language: "es",
  },
  {
    id: "walter-brandt",
    given: ["Walter"],
    family: "Brandt",
    gender: "male",
    birthDate: "1947-05-19",
    line: "26 Federal Plaza",
    city: "New York",
    state: "NY",
    zip: "10278",
    ailments: ["heart-failure", "diabetes"],
    deceased: "2026-02-14T03:20:00-05:00",
  },
  {
    id: "priya-raman",
    given: ["Priya"],
    family: "Raman",
    gender: "female",
    birthDate: "1976-01-22",
    line: "9 Hanover Street",
    city: "Portsmouth",
    state: "NH",
    zip: "03801",
    ailments: ["depression"],
    sensitive: ["PSY"],
  },
  {
    // A second registration of the same person.
    id: "priya-raman-2019",
    given: ["Pria"],
    family: "Raman",
    gender: "female",
    birthDate: "1976-01-22",
    line: "9 Hanover Street",
    city: "Portsmouth",
    state: "NH",
    zip: "03801",
    ailments: [],
  },
  {
    id: "chen-wei",
    given: ["Wei"],
    family: "Chen",
    gender: "male",
    birthDate: "1969-08-08",
    line: "301 Harrison Avenue",
    city: "Boston",
    state: "MA",
    zip: "02111",
    ailments: ["diabetes", "kidney-disease"],
    language: "zh",
  },
  {
    id: "sam-rivera",
    given: ["Sam"],
    family: "Rivera",
    gender: "other",
    birthDate: "2009-04-17",
    line: "12 Elm Street",
    city: "Worcester",
    state: "MA",
    zip: "01602",
    ailments: ["asthma"],
    sensitive: ["GDIS", "STD"],
  },
  {
    id: "fatima-haddad",
    given: ["Fatima"],
    family: "Haddad",
    gender: "female",
    birthDate: "1993-12-02",
    line: "Address confidential",
    city: "Lowell",
    state: "MA",
    zip: "01850",
    ailments: [],
    sensitive: ["SDV"],
    language: "ar",
  },
  {
    id: "elijah-washington",
    given: ["Elijah"],
    family: "Washington",
    gender: "male",
    birthDate: "1958-10-11",
    line: "550 Congress Street",
    city: "Portland",
    state: "ME",
    zip: "04101",
    ailments: ["hypertension", "kidney-disease"],
  },
  {
    id: "grace-kim",
    given: ["Grace"],
    family: "Kim",
    gender: "female",
    birthDate: "2001-06-25",
    line: "88 Mass Avenue",
    city: "Cambridge",
    state: "MA",
    zip: "02139",
    ailments: [],
  },
  {
    id: "hugo-marchetti",
    given: ["Hugo"],
    family: "Marchetti",
    gender: "male",
    birthDate: "1935-09-09",
    line: "1 Army Navy Drive",
    city: "Washington",
    state: "DC",
    zip: "20310",
    ailments: ["heart-failure"],
    sensitive: ["ETHUD"],
  },
  {
    id: "nadia-petrova",
    given: ["Nadia"],
    family: "Petrova",
    gender: "female",
    birthDate: "1962-02-28",
    line: "5 Harbor View",
    city: "Gloucester",
    state: "MA",
    zip: "01930",
    ailments: ["diabetes"],
    deceased: true,
  },
];
