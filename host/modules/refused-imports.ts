/** Imports of other hosts that this one does not offer: their uploads are told why. */
import abi from "../../guest-sdk/abi.json" with { type: "json" };

/** Of module "env". A name that ends with "*" stands for all that begin so. @returns null for one that is not listed */
export function whyRefused(module: string, name: string): string | null {
  if (module !== "env") {
    return null;
  }
  const isListed = (listed: string) => (listed.endsWith("*") ? name.startsWith(listed.slice(0, -1)) : name === listed);
  return abi.refused.find(({ names }) => names.some(isListed))?.reason ?? null;
}
