/** The part of a lock file (npm, version 3) that the rules read. */
export interface LockFile {
  readonly packages: Readonly<Record<string, LockedPackage>>;
}

interface LockedPackage {
  readonly version?: string;
  readonly integrity?: string;
  readonly license?: string;
  readonly dev?: boolean;
  readonly link?: boolean;
}

/** The part of package.json that the rules read. */
export interface Manifest {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

/** Licences of code that is in the Workers' bundles. */
const bundled = new Set(["MIT", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "0BSD", "CC0-1.0"]);
/** Licences of tools alone: their code is not in a bundle. */
const tools = new Set([...bundled, "MPL-2.0", "LGPL-3.0-or-later", "Python-2.0"]);

/**
 * What is wrong with the packages, a sentence each: a version that is not exact, an entry of the lock file
 * without a hash, a licence that is not on the list, or none.
 */
export function supplyProblems(manifest: Manifest, lock: LockFile): readonly string[] {
  const { dependencies, devDependencies, optionalDependencies } = manifest;
  const named = Object.entries({ ...dependencies, ...devDependencies, ...optionalDependencies });
  const loose = named
    .filter(([, version]) => !/^(?:npm:[@\w./-]+@)?\d+\.\d+\.\d+(?:-[\w.]+)?$/u.test(version))
    .map(([name, version]) => `${name} has the version ${version} in package.json, which is not exact`);
  const locked = Object.entries(lock.packages).filter(([path]) => path !== "");
  const unhashed = locked
    .filter(([, { integrity, link }]) => link !== true && integrity?.startsWith("sha512-") !== true)
    .map(([path]) => `${path} has no SHA-512 in package-lock.json`);
  const foreign = locked
    .filter(([, { license = "", dev }]) => !isAllowed(license, dev === true ? tools : bundled))
    .map(([path, { license, dev }]) => {
      const use = dev === true ? "a tool" : "code in the bundles";
      return `${path} has the licence ${license ?? "none"}, which is not allowed for ${use}`;
    });
  return [...loose, ...unhashed, ...foreign];
}

/** SPDX expressions of the two forms that occur: all of `A AND B`, any of `A OR B`. */
const isAllowed = (license: string, allowed: ReadonlySet<string>): boolean =>
  license
    .replaceAll(/[()]/gu, "")
    .split(" OR ")
    .some((choice) => choice.split(" AND ").every((each) => allowed.has(each)));
