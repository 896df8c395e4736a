/** Whether a write failed only because there is no room: the disk, the user's quota or the process's limit on files is used up. */
export function isNoRoom(error: unknown): boolean {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return code === "ENOSPC" || code === "EDQUOT" || code === "EFBIG";
}
