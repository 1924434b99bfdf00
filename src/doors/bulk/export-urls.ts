/** The polling location of an export, or the address of a further page of its manifest. */
export const exportStatusUrl = (base: string, job: string, page = 1): string =>
  `${base}/$export-status/${job}${page === 1 ? "" : `?page=${page}`}`;

/** The address of a file of an export. */
export const exportFileUrl = (base: string, job: string, file: number): string =>
  `${base}/$export-file/${job}/${file}`;
