/** What the kernel knows of a running process (Linux). */
import { readdirSync, readFileSync } from "node:fs";

export function threadCount(pid: number): number {
  return readdirSync(`/proc/${pid}/task`).length;
}

/** What is resident now. */
export const residentBytes = (pid: number): number => memoryField(pid, "VmRSS");

/** The most that was ever resident. */
export const peakResidentBytes = (pid: number): number => memoryField(pid, "VmHWM");

function memoryField(pid: number, field: string): number {
  const kilobytes = new RegExp(`^${field}:\\s+(\\d+) kB$`, "m").exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1];
  if (kilobytes === undefined) {
    throw new Error(`/proc/${pid}/status has no ${field}`);
  }
  return Number(kilobytes) * 1024;
}
